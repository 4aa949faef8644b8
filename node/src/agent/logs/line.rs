//! One line as the runtime writes it: `2026-01-02T03:04:05.678901234Z stdout F what was written`.

/// Adds to `out` what was written in a line, given without its end. What is none of the runtime's is added as it is.
pub fn add(line: &[u8], with_time: bool, begins: &mut bool, out: &mut Vec<u8>) {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let (time, stream, tag, text) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(time), Some(b"stdout" | b"stderr"), Some(tag)) = (time, stream, tag) else {
        out.extend_from_slice(line);
        out.push(b'\n');
        *begins = true;
        return;
    };
    if with_time && *begins {
        out.extend_from_slice(time);
        out.push(b' ');
    }
    out.extend_from_slice(text.unwrap_or_default());
    // A long line is written in parts. More tags than this one may come with others, behind colons.
    let is_part = tag.split(|byte| *byte == b':').next() == Some(b"P");
    if !is_part {
        out.push(b'\n');
    }
    *begins = !is_part;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[&str], with_time: bool) -> String {
        let (mut out, mut begins) = (Vec::new(), true);
        for line in lines {
            add(line.as_bytes(), with_time, &mut begins, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_written_comes_back() {
        let lines = ["t1 stdout F one", "t2 stderr P tw", "t3 stderr F o two", "t4 stdout F ", "t5 stdout F", "no line of ours"];
        assert_eq!(read(&lines, false), "one\ntwo two\n\n\nno line of ours\n");
        assert_eq!(read(&lines, true), "t1 one\nt2 two two\nt4 \nt5 \nno line of ours\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(line: Vec<u8>, with_time: bool) {
            add(&line, with_time, &mut true, &mut Vec::new());
        }
    }
}
