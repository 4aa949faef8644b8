//! YAML, and JSON, which is YAML as well: read with the place of everything in it, and written.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Options, Spanned, options::MergeKeyPolicy};

/// The longest text that is read, in bytes.
pub const MOST_BYTES: usize = 8 << 20;

/// Where something stands in a text; both from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// Where, as far as that is known.
    pub position: Option<Position>,
    /// What.
    pub message: String,
}

/// A document of a text.
#[derive(Debug)]
pub struct Document {
    root: Spanned<Tree>,
}

/// A value that knows where its parts are.
#[derive(Debug)]
enum Tree {
    Leaf(Value),
    List(Vec<Spanned<Tree>>),
    Fields(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl Document {
    /// It as JSON.
    pub fn value(&self) -> Value {
        self.root.value.value()
    }

    /// Where it begins.
    pub fn start(&self) -> Position {
        position(&self.root)
    }

    /// Where a field is, named as in `env[2].name`: where there is no such field, where the nearest above it is.
    pub fn position(&self, field: &str) -> Position {
        let mut found = self.start();
        let mut tree = &self.root.value;
        for step in field.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match tree {
                Tree::List(items) => {
                    let index = step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok());
                    index.and_then(|index| items.get(index)).map(|item| (position(item), &item.value))
                }
                Tree::Fields(fields) => {
                    let field = fields.iter().find(|(name, _)| name.value == step);
                    field.map(|(name, value)| (position(name), &value.value))
                }
                Tree::Leaf(_) => None,
            };
            let Some((at, inner)) = next else { break };
            (found, tree) = (at, inner);
        }
        found
    }
}

fn position<T>(spanned: &Spanned<T>) -> Position {
    Position { line: spanned.referenced.line(), column: spanned.referenced.column() }
}

impl Tree {
    fn value(&self) -> Value {
        match self {
            Self::Leaf(value) => value.clone(),
            Self::List(items) => items.iter().map(|item| item.value.value()).collect(),
            Self::Fields(fields) => {
                Value::Object(fields.iter().map(|(name, value)| (name.value.clone(), value.value.value())).collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Fields(fields))
    }
}

/// The documents of a text, in order; what is empty is none. A wrong form ends a document, wrong syntax all that follow.
///
/// What other readers take for something else is read as it looks: `yes` is a text. What a few lines can make of many by aliases has bounds.
pub fn read(text: &str) -> Vec<Result<Document, Mistake>> {
    if text.len() > MOST_BYTES {
        return vec![Err(Mistake { position: None, message: format!("is longer than {} MiB", MOST_BYTES >> 20) })];
    }
    let mut reader = text.as_bytes();
    let documents = serde_saphyr::read_with_options::<_, Spanned<Tree>>(&mut reader, options());
    documents.map(|document| document.map(|root| Document { root }).map_err(|error| mistake(&error))).collect()
}

fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        // As `kubectl` reads them: 0644 is a number of eight signs, not of ten.
        legacy_octal_numbers: true,
        underscored_numbers_as_strings: true,
        merge_keys: MergeKeyPolicy::Merge,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: Some(MOST_BYTES),
            max_events: 500_000,
            max_nodes: 250_000,
            max_aliases: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000, max_replay_stack_depth: 16 },
    }
}

fn mistake(error: &serde_saphyr::Error) -> Mistake {
    let at = error.location().filter(|at| at.line() > 0);
    let position = at.map(|at| Position { line: at.line(), column: at.column() });
    let text = error.without_snippet().to_string();
    // It names the place again, behind its words.
    let message = text.split(" at line ").next().unwrap_or(&text);
    Mistake { position, message: message.lines().next().unwrap_or(message).to_owned() }
}

/// A value as a document, without the line that begins one.
pub fn write(value: &impl Serialize) -> Result<String, String> {
    // By way of JSON: what is skipped, flattened and renamed comes out as everywhere else.
    let value = serde_json::to_value(value).map_err(|error| error.to_string())?;
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(&value, options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(text: &str) -> Document {
        let mut documents = read(text);
        assert_eq!(documents.len(), 1, "{documents:?}");
        documents.pop().expect("there is one").expect("it can be read")
    }

    fn at(line: u64, column: u64) -> Position {
        Position { line, column }
    }

    #[test]
    fn everything_has_its_place() {
        let text = "# what runs\n---\nkind: Deployment\nname: hello\nenv:\n  - name: A\n    value: b\n  - name: C\n    value: 7\n---\nkind: Job\n";
        let documents = read(text);
        assert_eq!(documents.len(), 2, "{documents:?}");
        let first = documents[0].as_ref().expect("it can be read");
        assert_eq!(
            first.value(),
            json!({"kind": "Deployment", "name": "hello", "env": [{"name": "A", "value": "b"}, {"name": "C", "value": 7}]})
        );
        assert_eq!(first.start(), at(3, 1));
        assert_eq!(first.position("name"), at(4, 1));
        assert_eq!(first.position("env[1].value"), at(9, 5));
        assert_eq!(first.position("env[1].more.of.it"), at(8, 5), "what is not there is where it would be");
        assert_eq!(first.position("image"), at(3, 1));
        assert_eq!(documents[1].as_ref().expect("it can be read").start(), at(11, 1), "lines are those of the whole text");
    }

    #[test]
    fn json_is_read_and_has_places_too() {
        let document = only("{\n\t\"kind\": \"Job\",\n\t\"args\": [\"a\", 1.5, null, true, -3]\n}\n");
        assert_eq!(document.value(), json!({"kind": "Job", "args": ["a", 1.5, null, true, -3]}));
        assert_eq!(document.position("args[1]"), at(3, 16));
    }

    #[test]
    fn words_are_words_and_numbers_numbers() {
        let text = "a: yes\nb: off\nc: true\nd: 0644\ne: 1_000\nf: 500m\ng: '7'\nh: ~\ni: 1e3\n";
        let expected =
            json!({"a": "yes", "b": "off", "c": true, "d": 420, "e": "1_000", "f": "500m", "g": "7", "h": null, "i": 1000.0});
        assert_eq!(only(text).value(), expected);
    }

    #[test]
    fn mistakes_have_their_place_and_hide_nothing_before_them() {
        let documents = read("a: 1\n---\nb: 1\nb: 2\n---\nc: 3\n");
        assert!(documents[0].is_ok());
        let mistake = documents[1].as_ref().expect_err("a name that is there twice");
        assert_eq!(mistake.position.map(|position| position.line), Some(4), "{mistake:?}");
        let documents = read("a: [1, 2\nb: 3\n");
        assert!(
            documents.iter().any(|document| document.as_ref().is_err_and(|mistake| mistake.position.is_some())),
            "{documents:?}"
        );
    }

    #[test]
    fn nothing_is_no_document() {
        assert!(read("").is_empty() && read("# nothing\n---\n---\n").is_empty());
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = level - 1;
            let aliases = vec![format!("*a{below}"); 9].join(", ");
            text += &["a", &level.to_string(), ": &a", &level.to_string(), " [", &aliases, "]\n"].concat();
        }
        assert!(read(&text).iter().any(Result::is_err));
        assert!(read(&"[".repeat(100_000)).iter().any(Result::is_err));
        assert!(read(&"x".repeat(MOST_BYTES + 1))[0].is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({"name": "a", "yes": "yes", "number": "0644", "list": [{"a": 1}, []], "text": "x\ny\n", "long": "w ".repeat(90)});
        assert_eq!(only(&write(&value).expect("YAML")).value(), value);
    }
}
