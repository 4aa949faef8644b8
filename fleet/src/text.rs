//! Types that are texts: read by their `FromStr`, written by their `Display`.

/// A type is a text wherever it is read or written.
macro_rules! as_text {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        $crate::text::written_as_text!($type);
    };
}

/// A type is written as a text.
macro_rules! written_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

/// A type around a text is that text.
macro_rules! is_text {
    ($type:ty) => {
        impl $type {
            /// It as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        $crate::text::as_text!($type);
    };
}

pub(crate) use {as_text, is_text, written_as_text};
