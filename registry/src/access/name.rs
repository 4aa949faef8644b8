use crate::state::StoredRole;

/// The longest name, in bytes.
const MOST_BYTES: usize = 128;
/// Passwords' lengths, in bytes.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 10..=1024;

/// Whether an account may have this name; what is wrong with it where it may not.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name == StoredRole::ANONYMOUS {
        return Err("anonymous is whoever has no account");
    }
    let begins_well = name.bytes().next().is_some_and(is_plain);
    if begins_well && name.len() <= MOST_BYTES && name.bytes().all(|byte| is_plain(byte) || b"._@-".contains(&byte)) {
        Ok(())
    } else {
        Err("a name has up to 128 of a-z, 0-9 and ._@-, and begins with a letter or a digit")
    }
}

/// Whether a person may have this password; what is wrong with it where not.
pub fn check_password(password: &str) -> Result<(), &'static str> {
    if PASSWORD_BYTES.contains(&password.len()) { Ok(()) } else { Err("a password has 10 bytes or more, and 1024 at most") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_path_and_before_a_colon() {
        for name in ["a", "ci", "alice@example.org", "0.a_b-c", &"a".repeat(128)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "Alice", "-a", "a:b", "a/b", "a b", "é", "anonymous", &"a".repeat(129)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_password("short").is_err() && check_password(&"x".repeat(1025)).is_err());
        assert_eq!(check_password("ten bytes!"), Ok(()));
    }
}
