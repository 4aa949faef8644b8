use std::str::FromStr;

/// A value that is none where nothing is in it: a variable of the environment that is set to nothing is not set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UnlessEmpty<T>(Option<T>);

impl<T> UnlessEmpty<T> {
    /// It, where it is there.
    pub fn get(self) -> Option<T> {
        self.0
    }
}

impl<T: FromStr> FromStr for UnlessEmpty<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        Ok(Self(if text.is_empty() { None } else { Some(text.parse()?) }))
    }
}
