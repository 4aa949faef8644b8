//! What someone wrote for one key, before it has a type.

/// A value as a layer of the configuration gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Text of an environment variable or a flag, which has no type yet: `8`, `true` and `a,b` are all words.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    List(Vec<Given>),
    /// A TOML section without a key.
    Nothing,
    /// A TOML value of a kind that no setting takes, named with its article, such as `a table`.
    Other(&'static str),
}

impl Given {
    /// The kind of the value with its article, for messages such as `expected a list, found an integer`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Word(_) => "a word",
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Nothing => "nothing",
            Self::Other(kind) => kind,
        }
    }

    /// The text, whichever layer it came from; `None` for a TOML value that is not a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
