//! containerd's `hosts.toml` (containerd, `docs/hosts.md`).

use super::{
    MirrorUrl,
    block::{self, Mark},
    toml_text::{TextError, TomlText, quoted},
};

const INLINE: &str = "its hosts are written inline; write each as a table, [host.\"URL\"]";

/// The text with the mirror ahead of all other hosts, as they are asked in the order of their headers; `None` where another wrote it.
/// A file that is new gets these lines first, each with its key, which are for the registry itself.
///
/// The mirror has no `skip_verify`: over plain HTTP there is nothing to verify, and it has containerd 2 try TLS first. Of capabilities it
/// has those that every containerd knows; one that is not known makes it leave the whole file alone.
pub(super) fn with_mirror(
    text: &str,
    mark: &Mark,
    mirror: &MirrorUrl,
    first: &[(&str, String)],
) -> Result<Option<String>, TextError> {
    let toml = TomlText::parse(text)?;
    let url = mirror.to_string();
    let hosts = match toml.root().get("host").map(|host| host.get_ref().as_table()) {
        Some(None) => return Err(TextError::Form(INLINE)),
        Some(hosts) => hosts,
        None => None,
    };
    let mut headers = Vec::new();
    for (host, settings) in hosts.into_iter().flatten() {
        if host.get_ref().trim_end_matches('/') == url {
            return Ok(None);
        }
        let inner = settings.get_ref().as_table().into_iter().flatten().map(|(key, _)| key.span().start);
        headers.extend(inner.chain([host.span().start, settings.span().start]).filter(|offset| toml.is_header_line(*offset)));
    }
    let at = headers.into_iter().min().map_or(text.len(), |header| toml.above(header));
    let is_new = text.is_empty() || mark.made.is_file;
    let first: String =
        first.iter().filter(|(key, _)| is_new && !toml.root().contains_key(*key)).map(|(_, line)| line.as_str()).collect();
    let lines = format!("{first}[host.{}]\ncapabilities = [\"pull\", \"resolve\"]\n", quoted(&url));
    let written = block::put(text, at..at, mark, &lines);
    TomlText::parse(&written).map_err(|_| TextError::Form(INLINE))?;
    Ok(Some(written))
}

/// The lines that have containerd go on with a registry as it did by the certificates in its folder, which it leaves alone once there is a
/// `hosts.toml`. `names` are those of the folder's files.
pub(super) fn certificates(names: &[String]) -> Vec<(&'static str, String)> {
    let authorities: Vec<_> = names.iter().filter(|name| name.strip_suffix(".crt").is_some()).map(|name| quoted(name)).collect();
    let pairs = names.iter().filter_map(|name| {
        let key = format!("{}.key", name.strip_suffix(".cert")?);
        Some(if names.contains(&key) { format!("[{}, {}]", quoted(name), quoted(&key)) } else { quoted(name) })
    });
    let pairs: Vec<_> = pairs.collect();
    let lists = [("ca", authorities), ("client", pairs)].into_iter().filter(|(_, all)| !all.is_empty());
    lists.map(|(key, all)| (key, format!("{key} = [{}]\n", all.join(", ")))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::block::Made, *};

    const URL: &str = "http://127.0.0.1:5200";

    fn mark() -> Mark {
        Mark { subject: "docker.io".to_owned(), mirror: URL.to_owned(), made: Made::default() }
    }

    fn written(text: &str) -> Option<String> {
        with_mirror(text, &mark(), &URL.parse().unwrap(), &[]).unwrap()
    }

    /// The hosts in the order of their headers.
    fn hosts(text: &str) -> Vec<&str> {
        text.lines().filter_map(|line| line.trim().strip_prefix("[host.\"")?.strip_suffix("\"]")).collect()
    }

    #[test]
    fn the_mirror_is_asked_before_others_and_their_comments_stay() {
        let text =
            "server = \"https://registry.example\" # ours\n\n# The company's.\n[host.\"https://m.example\"]\n  ca = \"ca.crt\"\n";
        let written = written(text).unwrap();
        assert_eq!(hosts(&written), [URL, "https://m.example"]);
        assert!(written.contains("\n# longshore: end\n# The company's.\n[host.\"https://m.example\"]\n"), "{written}");
        let read: toml::Table = written.parse().unwrap();
        assert_eq!(read["server"].as_str(), Some("https://registry.example"));
        assert_eq!(read["host"][URL].to_string(), r#"{ capabilities = ["pull", "resolve"] }"#);
        assert_eq!(read["host"]["https://m.example"]["ca"].as_str(), Some("ca.crt"));
    }

    #[test]
    fn a_host_that_another_wrote_is_not_written_again() {
        assert_eq!(written(&format!("[host.\"{URL}\"]\n")), None);
        assert_eq!(written(&format!("[host.\"{URL}/\"]\n")), None);
        assert_eq!(written(&format!("host.\"{URL}\".capabilities = [\"pull\"]\n")), None);
    }

    #[test]
    fn hosts_in_other_forms_are_left_alone() {
        let with = |text: &str| with_mirror(text, &mark(), &URL.parse().unwrap(), &[]);
        assert!(matches!(with("host = { \"https://a\" = {} }\n"), Err(TextError::Form(_))));
        assert!(matches!(with("host = 1\n"), Err(TextError::Form(_))));
        assert!(matches!(with("host = \n"), Err(TextError::Malformed(_))));
        assert!(
            written("host.\"https://a\".ca = \"x\"\n").unwrap().starts_with("host.\"https://a\".ca"),
            "a key stays above headers"
        );
        let deep = "[host.\"https://a\".header]\nx = \"y\"\n";
        assert!(written(deep).unwrap().ends_with(&format!("# longshore: end\n{deep}")));
    }

    #[test]
    fn certificates_still_count() {
        let names = ["a.cert", "a.key", "b.cert", "ca.crt", "other.crt", "x.pem"].map(str::to_owned);
        let first = certificates(&names);
        assert_eq!(first[0], ("ca", "ca = [\"ca.crt\", \"other.crt\"]\n".to_owned()));
        assert_eq!(first[1], ("client", "client = [[\"a.cert\", \"a.key\"], \"b.cert\"]\n".to_owned()));
        assert_eq!(certificates(&[]), []);

        let made = Mark { made: Made { is_file: true, folders: 0 }, ..mark() };
        let with = |text: &str, mark: &Mark| with_mirror(text, mark, &URL.parse().unwrap(), &first).unwrap().unwrap();
        let keys = |text: &str| text.parse::<toml::Table>().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&with("", &mark())), ["ca", "client", "host"], "an empty file counts as none");
        assert_eq!(keys(&with("[host.\"https://a\"]\n", &made)), ["ca", "client", "host"], "ours, to which another added");
        assert_eq!(keys(&with("ca = \"a\"\n", &made)), ["ca", "client", "host"]);
        assert_eq!(keys(&with("# theirs\n", &mark())), ["host"], "theirs hid the certificates before");
    }

    prop_compose! {
        fn a_file()(
            top in prop::collection::vec(prop::sample::select(vec![
                "server = \"https://r.example\"", "# a remark", "", "ca = '''\n[host.\"no\"]\n#'''", "capabilities = [\n  \"pull\", # [x]\n]",
            ]), 0..4).prop_map(|lines| lines.into_iter().fold(Vec::new(), |mut kept: Vec<&str>, line| {
                if line.is_empty() || line.starts_with('#') || !kept.contains(&line) { kept.push(line); }
                kept
            })),
            hosts in prop::collection::vec((0..3_usize, any::<bool>()), 0..4),
            end in prop::sample::select(vec!["", "\n", "\r\n", "\n\n# the end"]),
        ) -> String {
            let mut lines: Vec<String> = top.into_iter().map(str::to_owned).collect();
            for (number, (blank, has_header)) in hosts.into_iter().enumerate() {
                lines.extend(std::iter::repeat_n(String::new(), blank));
                lines.push("# of the next".to_owned());
                lines.push(format!(" [host.\"https://{number}.example\"]"));
                if has_header {
                    lines.push(format!("[host.\"https://{number}.example\".header]\nx = \"[y]\""));
                }
            }
            lines.join("\n") + end
        }
    }

    proptest! {
        #[test]
        fn what_is_installed_is_first_and_comes_out_again(text in a_file()) {
            let written = written(&text).unwrap();
            let headers = written.replace("'''\n[host.\"no\"]", "");
            prop_assert_eq!(hosts(&headers)[0], URL);
            let mut read: toml::Table = written.parse().unwrap();
            let before: toml::Table = text.parse().unwrap();
            let rest = read["host"].as_table_mut().unwrap();
            prop_assert!(rest.remove(URL).is_some());
            if rest.is_empty() {
                read.remove("host");
            }
            prop_assert_eq!(read, before);
            let found = block::find(&written).unwrap();
            prop_assert_eq!(block::take_out(&written, &found[0]), Some(text));
        }
    }
}
