//! A type that a configuration value can have, and the plain types that are one.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Given, Secret};

/// A value that can be given in every layer and shown as TOML.
pub trait Setting {
    /// Takes the value given, or says in one sentence what was expected. The value stays as it was on an error.
    fn set(&mut self, given: &Given) -> Result<(), String>;

    /// The value as TOML, such as `"8MiB"` with its quotes.
    fn render(&self) -> String;

    /// The secret, if the setting is one; it then has a twin `<key>_file`.
    fn secret(&self) -> Option<&Secret> {
        None
    }

    /// As [`Setting::secret`], to be set.
    fn secret_mut(&mut self) -> Option<&mut Secret> {
        None
    }
}

/// A TOML string literal of `text`, quoted and escaped.
pub fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A TOML array of string literals, as [`Given::items`] reads it.
pub fn quote_all<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| quote(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// Implements [`Setting`](crate::config::Setting) for a type that is a string in TOML, by its `FromStr` and `Display`.
///
/// The second argument ends the sentence `expected …`; `FromStr::Err` must display as a whole sentence.
#[macro_export]
macro_rules! text_setting {
    ($type:ty, $expected:literal) => {
        impl $crate::config::Setting for $type {
            fn set(&mut self, given: &$crate::config::Given) -> Result<(), String> {
                let Some(text) = given.as_text() else {
                    return Err(format!("expected {}, found {}", $expected, given.kind()));
                };
                *self = text.trim().parse().map_err(|error| format!("{text:?}: {error}"))?;
                Ok(())
            }

            fn render(&self) -> String {
                $crate::config::quote(&self.to_string())
            }
        }
    };
}

/// Implements [`Setting`](crate::config::Setting) for an `Option` whose `None` is written as the second argument, or as "".
///
/// The third argument is the value that a given one starts from, and replaces.
macro_rules! optional_setting {
    ($type:ty, $absent:literal, $start:expr) => {
        impl $crate::config::Setting for Option<$type> {
            fn set(&mut self, given: &$crate::config::Given) -> Result<(), String> {
                if given.as_text().is_some_and(|text| text.is_empty() || text == $absent) {
                    *self = None;
                    return Ok(());
                }
                let mut value: $type = $start;
                value.set(given)?;
                *self = Some(value);
                Ok(())
            }

            fn render(&self) -> String {
                self.as_ref().map_or_else(|| $crate::config::quote($absent), $crate::config::Setting::render)
            }
        }
    };
}
pub(super) use optional_setting;

macro_rules! integer_setting {
    ($($type:ty),+) => {$(
        impl Setting for $type {
            fn set(&mut self, given: &Given) -> Result<(), String> {
                let number = match given {
                    Given::Integer(number) => Self::try_from(*number).ok(),
                    Given::Word(word) => word.trim().parse().ok(),
                    other => return Err(format!("expected a whole number, found {}", other.kind())),
                };
                *self = number.ok_or_else(|| format!("expected a whole number from 0 to {}", Self::MAX))?;
                Ok(())
            }

            fn render(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

integer_setting!(u16, u32, u64, usize);
optional_setting!(SocketAddr, "off", SocketAddr::from(([127, 0, 0, 1], 0)));
optional_setting!(PathBuf, "", PathBuf::new());

impl Setting for String {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let text = given.as_text().ok_or_else(|| format!("expected a string, found {}", given.kind()))?;
        text.clone_into(self);
        Ok(())
    }

    fn render(&self) -> String {
        quote(self)
    }
}

/// The list is replaced whole.
impl Setting for Vec<String> {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        *self = given.items("strings")?;
        Ok(())
    }

    fn render(&self) -> String {
        quote_all(self)
    }
}

impl Setting for PathBuf {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let text = given.as_text().ok_or_else(|| format!("expected a path, found {}", given.kind()))?;
        if text.is_empty() {
            return Err("expected a path, found an empty string".to_owned());
        }
        *self = PathBuf::from(text);
        Ok(())
    }

    fn render(&self) -> String {
        quote(&self.to_string_lossy())
    }
}

impl Setting for bool {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        *self = match given {
            Given::Boolean(value) => *value,
            Given::Word(word) => word.trim().parse().map_err(|_| format!("expected true or false, found {word:?}"))?,
            other => return Err(format!("expected true or false, found {}", other.kind())),
        };
        Ok(())
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

impl Setting for SocketAddr {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let text =
            given.as_text().ok_or_else(|| format!("expected an address such as \"127.0.0.1:5000\", found {}", given.kind()))?;
        *self = text
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is not an IP address and port such as \"127.0.0.1:5000\" or \"[::]:5000\""))?;
        Ok(())
    }

    fn render(&self) -> String {
        quote(&self.to_string())
    }
}
