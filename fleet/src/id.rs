//! Names that are given once and never again: a UUID (version 7, so that they sort by when they were given) behind a prefix that says what
//! it names.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::text::as_text;

/// A text is not the id that was wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a {noun} is {prefix}_ and a UUID")]
pub struct InvalidId {
    noun: &'static str,
    prefix: &'static str,
}

macro_rules! id {
    ($name:ident, $prefix:literal, $noun:literal) => {
        #[doc = concat!("What names a ", $noun, ": `", $prefix, "_` and a UUID.")]
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub Uuid);

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let uuid = text.strip_prefix(concat!($prefix, "_")).and_then(|rest| Uuid::try_parse(rest).ok());
                uuid.map(Self).ok_or(InvalidId { noun: $noun, prefix: $prefix })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "_{}"), self.0.as_simple())
            }
        }

        as_text!($name, concat!("`", $prefix, "_` and a UUID"));
    };
}

id!(DeploymentId, "dep", "deployment");
id!(JobId, "job", "job");
id!(PodId, "pod", "pod");
id!(NodeId, "node", "node");
id!(OperationId, "op", "operation");
id!(StreamId, "stream", "stream");
id!(LogsId, "logs", "wish to read logs");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_names() {
        let id = PodId(Uuid::from_u128(7));
        assert_eq!(id.to_string(), "pod_00000000000000000000000000000007");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("pod_00000000-0000-0000-0000-000000000007".parse(), Ok(id));
        for text in ["", "pod_", "dep_00000000000000000000000000000007", "00000000000000000000000000000007", "pod_7"] {
            let error = text.parse::<PodId>().unwrap_err();
            assert_eq!(error.to_string(), "the id of a pod is pod_ and a UUID", "{text}");
        }
        assert_eq!(serde_json::to_string(&DeploymentId(Uuid::nil())).unwrap(), "\"dep_00000000000000000000000000000000\"");
    }
}
