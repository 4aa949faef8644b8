use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{disk::sync_folder_of, random::random};

/// What sealing is derived for; another text would be another key.
const CONTEXT: &str = "longshore registry 2026-11-21 signing keys in the database";

/// The least that a secret has, in bytes.
const LEAST_SECRET: usize = 32;

/// What keeps keys in the database from whoever reads the database alone: ChaCha20-Poly1305 (RFC 8439) under a secret from elsewhere.
pub struct Seal(LessSafeKey);

impl Seal {
    /// The seal of a secret, which may be any text that can't be guessed.
    pub fn of(secret: &str) -> Self {
        let key = blake3::derive_key(CONTEXT, secret.trim().as_bytes());
        Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("it is as long as it must be")))
    }

    /// The seal of the secret in a file, which is made where there is none.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(secret) if secret.trim().len() >= LEAST_SECRET => return Ok(Self::of(&secret)),
            Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no secret in it")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let secret = blake3::Hash::from_bytes(random()).to_string();
        // On disk and whole before it has its name: keys that nobody can open would be lost.
        let making = path.with_added_extension("new");
        let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&making)?;
        writeln!(file, "{secret}")?;
        file.sync_all()?;
        fs::rename(&making, path)?;
        sync_folder_of(path)?;
        Ok(Self::of(&secret))
    }

    /// The content under seal: a nonce, and what only [`Self::open`] with the same `label` reads.
    pub fn close(&self, label: &str, content: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = content.to_vec();
        let label = Aad::from(label.as_bytes());
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), label, &mut sealed).expect("it is not that long");
        [nonce.as_slice(), &sealed].concat()
    }

    /// What was sealed. `None` where that was with another secret or label, or was changed.
    pub fn open(&self, label: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut content = sealed.to_vec();
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(label.as_bytes()), &mut content);
        Some(opened.ok()?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn opens_what_it_closed_and_nothing_else() {
        let seal = Seal::of("a secret");
        let sealed = seal.close("label", b"content");
        assert_eq!(seal.open("label", &sealed).as_deref(), Some(b"content".as_slice()));
        assert_eq!(Seal::of(" a secret\n").open("label", &sealed).as_deref(), Some(b"content".as_slice()));
        assert_ne!(seal.close("label", b"content"), sealed, "no nonce is used twice");
        assert!(seal.open("other label", &sealed).is_none());
        assert!(Seal::of("another secret").open("label", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal.open("label", &changed).is_none(), "byte {at}");
            assert!(seal.open("label", &sealed[..at]).is_none(), "the first {at} bytes");
        }
    }

    #[test]
    fn a_file_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing-key");
        let sealed = Seal::of_file(&path).unwrap().close("label", b"content");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Seal::of_file(&path).unwrap().open("label", &sealed).as_deref(), Some(b"content".as_slice()));
        fs::remove_file(&path).unwrap();
        assert!(Seal::of_file(&path).unwrap().open("label", &sealed).is_none());
        fs::write(&path, "\n").unwrap();
        assert!(Seal::of_file(&path).is_err(), "a file without a secret is none");
        assert!(Seal::of_file(&folder.path().join("no/folder")).is_err());
    }
}
