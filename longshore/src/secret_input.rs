use std::io::{BufRead, Read as _, stdin};

use longshore_client::Secret;

use crate::failure::Failure;

/// A secret that is read from a line of stdin or asked for on the terminal, never from an argument, which others could see.
#[derive(Clone, Copy, Debug)]
pub struct SecretInput {
    /// What messages call it.
    pub name: &'static str,
    /// The flag that has it read from stdin.
    pub flag: &'static str,
    /// The longest line that is read, what ends it included.
    pub max_line_bytes: u64,
}

impl SecretInput {
    /// The secret on stdin.
    pub fn read(self) -> Result<Secret, Failure> {
        self.read_line(&mut stdin().lock())
    }

    /// The line without what ends it; spaces are the secret's own.
    fn read_line(self, input: &mut impl BufRead) -> Result<Secret, Failure> {
        let usage = |reason: &str| Failure::Usage(format!("the {} on stdin {reason}", self.name));
        let mut line = String::new();
        let read = input.take(self.max_line_bytes + 1).read_line(&mut line);
        read.map_err(|error| usage(&format!("can't be read: {error}")))?;
        let secret = line.strip_suffix('\n').unwrap_or(&line);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if line.len() as u64 > self.max_line_bytes {
            return Err(usage(&format!("is longer than {} bytes", self.max_line_bytes)));
        }
        if secret.is_empty() { Err(usage("is empty")) } else { Ok(Secret::new(secret)) }
    }

    /// The secret as somebody types it, without its being shown.
    pub fn ask(self, prompt: &str) -> Result<Secret, Failure> {
        let Self { name, flag, .. } = self;
        let typed = rpassword::prompt_password(prompt).map_err(|error| {
            Failure::Usage(format!("there is no terminal to ask for the {name} on ({error}); {flag} reads it from stdin"))
        })?;
        if typed.is_empty() { Err(Failure::Usage(format!("no {name} was typed"))) } else { Ok(Secret::new(typed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_secret() {
        let input = SecretInput { name: "password", flag: "--password-stdin", max_line_bytes: 4096 };
        let read = |text: &str| input.read_line(&mut text.as_bytes()).map(|secret| secret.reveal().to_owned());
        assert_eq!(read("a b \n").expect("a line"), "a b ");
        assert_eq!(read("secret\r\nmore\n").expect("a line"), "secret");
        assert_eq!(read("secret").expect("a line"), "secret");
        let longest = "x".repeat(4095);
        assert_eq!(read(&format!("{longest}\n")).expect("a line"), longest);
        for none in ["", "\n", "\r\nx", &"x".repeat(4097)] {
            assert!(matches!(read(none), Err(Failure::Usage(_))), "{none:?}");
        }
    }
}
