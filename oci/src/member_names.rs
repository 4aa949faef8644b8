use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

/// The members of manifests, descriptors and platforms that mean something to somebody.
const NAMES: [&str; 20] = [
    "annotations",
    "architecture",
    "artifactType",
    "config",
    "data",
    "digest",
    "features",
    "layers",
    "manifests",
    "mediaType",
    "os",
    "os.features",
    "os.version",
    "platform",
    "schemaVersion",
    "size",
    "subject",
    "urls",
    "variant",
    "fsLayers",
];
/// What has members of any name.
const FREE: &str = "annotations";

/// Refuses JSON with a member that is one of a manifest's but for the case of its letters: some programs take one for the other, and so
/// would read another manifest than this one does.
pub fn check(text: &[u8]) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Names.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A name as such programs compare it: two letters outside ASCII are some of its own to them.
fn folded(name: &str) -> String {
    name.chars()
        .map(|character| match character {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            _ => character.to_ascii_lowercase(),
        })
        .collect()
}

fn is_taken_for_another(name: &str) -> bool {
    // Most are as they should be, and need no folding.
    !NAMES.contains(&name) && {
        let folded = folded(name);
        NAMES.iter().any(|known| known.to_ascii_lowercase() == folded)
    }
}

#[derive(Clone, Copy)]
struct Names;

impl<'de> DeserializeSeed<'de> for Names {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if is_taken_for_another(&name) {
                return Err(A::Error::custom(
                    "a member's name differs from one of a manifest's in the case of its letters alone",
                ));
            }
            if name == FREE {
                members.next_value::<serde::de::IgnoredAny>()?;
            } else {
                members.next_value_seed(self)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_another_case_is_refused_wherever_it_is() {
        for text in [
            r#"{"Layers":[]}"#,
            r#"{"layers":[{"Digest":"x"}]}"#,
            r#"{"layers":[],"LAYERS":[]}"#,
            r#"{"manifests":[{"platform":{"OS":"x"}}]}"#,
            "{\"layer\u{17f}\":[]}",
            r#"{"layer\u017f":[]}"#,
            r#"{"x":{"mediatype":"x"}}"#,
        ] {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
        for text in [r#"{"layers":[],"annotations":{"Layers":"x","OS":"x"},"other":1}"#, "[]", "1"] {
            assert!(check(text.as_bytes()).is_ok(), "{text}");
        }
    }
}
