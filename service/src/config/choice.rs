//! A value that is one of a few words.

/// Declares an enum that is one of a few words in the configuration, with its `FromStr`, `Display` and `Setting`.
///
/// ```
/// longshore_service::choice! {
///     /// Where bytes are kept.
///     pub enum StoreKind {
///         /// A folder of this machine.
///         Folder = "folder",
///         /// A bucket of an S3 service.
///         S3 = "s3",
///     }
/// }
/// assert_eq!("s3".parse(), Ok(StoreKind::S3));
/// assert_eq!("S4".parse::<StoreKind>(), Err("expected one of folder, s3".to_owned()));
/// ```
#[macro_export]
macro_rules! choice {
    ($(#[$about:meta])* pub enum $name:ident { $($(#[$variant_about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_about])* $variant),+
        }

        impl ::std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("expected one of {}", [$($word),+].join(", "))),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        $crate::text_setting!($name, "a string");
    };
}
