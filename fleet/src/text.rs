//! Types that are texts: read by their `FromStr`, written by their `Display`, and told of as such in schemas.

/// A type is a text wherever it is read or written; the words say of which form.
macro_rules! as_text {
    ($type:ty, $form:expr) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        $crate::text::written_as_text!($type);
        $crate::text::told_of_as!($type, { "type": "string", "description": $form });
    };
}

/// A schema tells of a type so.
macro_rules! told_of_as {
    ($type:ty, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn schema_id() -> std::borrow::Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($type)).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
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
    ($type:ty, $form:expr) => {
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

        $crate::text::as_text!($type, $form);
    };
}

pub(crate) use {as_text, is_text, told_of_as, written_as_text};
