use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// How deep what is signed may nest.
const MOST_DEPTH: usize = 64;

/// Reads JSON in which no object has two members of one name: programs differ in which of them they believe.
pub fn unique(text: &[u8]) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Unique { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Unique {
    depth: usize,
}

impl Unique {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth < MOST_DEPTH { Ok(Self { depth: self.depth + 1 }) } else { Err(E::custom("it nests too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = members.next_element_seed(deeper)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if values.contains_key(&name) {
                return Err(A::Error::custom(format!("it has the member {name:?} twice")));
            }
            values.insert(name, members.next_value_seed(deeper)?);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_no_name_twice() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":[{"c":1,"d":2,"c":3}]}}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(unique(text.as_bytes()).is_err(), "{text}");
        }
        assert!(unique(format!("{}{}", "[".repeat(100), "]".repeat(100)).as_bytes()).is_err());
        for text in ["", "{}x", "{", "\u{feff}{}"] {
            assert!(unique(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_as_anybody_does_what_has_none(text in r#"(\{("[a-c]":[0-9]{1,2},){0,2}"d":(null|true|"x"|1\.5|\[\]|-3)\}|[ -~]{0,20})"#) {
            if let Ok(value) = unique(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            }
        }
    }
}
