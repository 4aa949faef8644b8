//! Configuration flags among a program's other arguments.

use super::{Mistake, Mistakes, Source};

/// A program's arguments, apart: its own, and those that set a configuration value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The arguments that are not configuration flags, in their order.
    pub rest: Vec<String>,
    /// Key path and value of each configuration flag, in their order, such as `("storage.bucket", "x")`.
    pub settings: Vec<(String, String)>,
}

/// Takes the flags whose name has a dot, `--storage.bucket x` and `--storage.bucket=x`, out of a list of arguments.
///
/// The next argument is taken as the value unless it begins with `--`; such a value needs the form with `=`. What
/// follows a bare `--` is left alone. A flag without a value is a mistake.
pub fn split_flags(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, Mistakes> {
    let mut split = Arguments::default();
    let mut mistakes = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            split.rest.push(argument);
            split.rest.extend(arguments);
            break;
        }
        let flag = argument.strip_prefix("--").unwrap_or_default();
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        if !name.contains('.') {
            split.rest.push(argument);
            continue;
        }
        let value = value.map(str::to_owned).or_else(|| arguments.next_if(|next| !next.starts_with("--")));
        match value {
            Some(value) => split.settings.push((name.to_owned(), value)),
            None => mistakes.push(Mistake {
                source: Source::Flag(name.to_owned()),
                key: name.to_owned(),
                message: "the flag needs a value".to_owned(),
            }),
        }
    }
    if mistakes.is_empty() { Ok(split) } else { Err(Mistakes::new(mistakes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn takes_dotted_flags_and_leaves_the_rest() {
        let split = split_flags(words("registry serve --storage.bucket x --config a.toml --log.filter=a=b -- --x.y z"));
        let split = split.expect("every flag has its value");
        assert_eq!(split.rest, words("registry serve --config a.toml -- --x.y z"));
        let settings = [("storage.bucket", "x"), ("log.filter", "a=b")];
        assert_eq!(split.settings, settings.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn says_each_flag_that_lacks_its_value() {
        let mistakes = split_flags(words("--a.b --c.d")).expect_err("neither has a value");
        assert_eq!(mistakes.to_string(), "flag --a.b: the flag needs a value\nflag --c.d: the flag needs a value");
    }
}
