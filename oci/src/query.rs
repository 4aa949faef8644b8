use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A URL's query, read by name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The query after a URL's `?`.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The first value of a name, decoded; `None` where the name is absent.
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// Every value of a name, in order, decoded. Bytes that are no UTF-8 become U+FFFD, which no grammar of ours takes.
    pub fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0.split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key) == name).then(|| decode(value))
        })
    }
}

/// Undoes form encoding: `+` is a space, `%XX` a byte.
fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_values() {
        let query = Query::new("tag=a&tag=b%2Bc&n=&x+y=1+2&flag");
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b+c"]);
        assert_eq!(query.get("n").as_deref(), Some(""));
        assert_eq!(query.get("x y").as_deref(), Some("1 2"));
        assert_eq!(query.get("flag").as_deref(), Some(""));
        assert_eq!(query.get("absent"), None);
    }
}
