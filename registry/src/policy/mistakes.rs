//! Every mistake in a document's shape, where the reader of the whole stops at the first.

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer, Error},
};

/// The most that are told.
const MOST: usize = 50;
/// How many characters of a line are shown.
const MOST_SHOWN: usize = 60;

/// What is wrong with a text that is no `T`, for which `first` was given as the reason. Each element of the text's lists is read
/// alone, so `T` must make do without any of them.
pub fn mistakes<T: DeserializeOwned>(text: &str, first: &Error) -> Vec<String> {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        errors = parts(table.into_inner()).filter_map(|part| T::deserialize(Deserializer::from(part)).err()).collect();
    }
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut told: Vec<String> = errors.iter().take(MOST).map(|error| tell(text, error)).collect();
    told.dedup();
    if told.is_empty() { vec![tell(text, first)] } else { told }
}

/// Tables with a member of the table each; a list in it is taken apart.
fn parts(table: DeTable<'_>) -> impl Iterator<Item = Spanned<DeTable<'_>>> {
    table.into_iter().flat_map(|(key, value)| {
        let span = value.span();
        let values = match value.into_inner() {
            DeValue::Array(elements) => elements.into_iter().map(list_of).collect(),
            value => vec![Spanned::new(span, value)],
        };
        values.into_iter().map(move |value| {
            let span = value.span();
            Spanned::new(span, DeTable::from_iter([(key.clone(), value)]))
        })
    })
}

fn list_of(element: Spanned<DeValue<'_>>) -> Spanned<DeValue<'_>> {
    let span = element.span();
    let mut list = DeArray::new();
    list.push(element);
    Spanned::new(span, DeValue::Array(list))
}

/// A mistake with its line: the number, and as much of it as is needed to know it again.
fn tell(text: &str, error: &Error) -> String {
    let message = error.message().trim().replace('\n', ", ");
    let Some(span) = error.span() else { return message };
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line: String = text.lines().nth(number - 1).unwrap_or_default().trim().chars().take(MOST_SHOWN).collect();
    format!("line {number}, {line:?}: {message}")
}

#[cfg(test)]
mod tests {
    use crate::policy::Document;

    #[test]
    fn every_part_tells_of_its_own() {
        let text = "[[policy]]\nname = 'a'\n[[policy]]\nname = 'b'\nrepositories = ['**']\nmode = 'of'\n[[key]]\nnom = 'k'\n\
                    [other]\nx = 1\n[[policy]]\nname = 'c'\nrepositories = ['**']\n";
        let problems = Document::parse(text).unwrap_err().problems();
        let starts = [
            "line 1, \"[[policy]]\": missing field `repositories`",
            "line 6, \"mode = 'of'\": unknown variant `of`",
            "line 8, \"nom = 'k'\": unknown field `nom`",
            "line 9, \"[other]\": unknown field",
        ];
        assert_eq!(problems.len(), starts.len(), "{problems:#?}");
        for (problem, start) in problems.iter().zip(starts) {
            assert!(problem.starts_with(start), "{start}: {problems:#?}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_line_by_line() {
        let problems = Document::parse("a = \nb = 'x\n").unwrap_err().problems();
        assert!(problems.len() > 1 && problems[0].starts_with("line 1, "), "{problems:?}");
        let twice = Document::parse("[[policy]]\n[policy]\n").unwrap_err().problems();
        assert!(!twice.is_empty() && twice[0].starts_with("line "), "{twice:?}");
    }
}
