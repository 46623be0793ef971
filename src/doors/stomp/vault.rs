//! Keys of logins as the journal keeps them: encrypted, and each of use for its own login alone.
//! It must not keep anything itself.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::zeroize::Zeroizing;

use super::key::Key;

/// What encrypts keys of logins.
///
/// ChaCha20-Poly1305 (RFC 8439). Nonces are drawn by chance, which holds for 2^32 of them: more
/// log-ins than a node sees.
pub struct Vault(Option<LessSafeKey>);

impl Vault {
    /// One that `key` opens.
    pub fn new(key: &Key) -> Self {
        // Of 32 bytes, as the algorithm wants: there is always one.
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.bytes()).ok();
        Self(key.map(LessSafeKey::new))
    }

    /// `key` as it is kept. It comes out again only for the same login of the same sender.
    pub fn lock(&self, key: &Key, login: &str, sender: &str) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut content = key.bytes().to_vec();
        self.0
            .as_ref()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                bound_to(login, sender),
                &mut content,
            )
            .ok()?;
        Some(BASE64_STANDARD_NO_PAD.encode([&nonce[..], &content].concat()))
    }

    /// The key that was kept as `text`; `None` when it is none, or another login's.
    pub fn unlock(&self, text: &str, login: &str, sender: &str) -> Option<Key> {
        let mut bytes = Zeroizing::new(BASE64_STANDARD_NO_PAD.decode(text).ok()?);
        let (nonce, content) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self
            .0
            .as_ref()?
            .open_in_place(nonce, bound_to(login, sender), content)
            .ok()?;
        Some(Key::new((&*opened).try_into().ok()?))
    }
}

fn bound_to(login: &str, sender: &str) -> Aad<Vec<u8>> {
    Aad::from([login, "\0", sender].concat().into_bytes())
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_out_only_where_it_went_in() {
        let (vault, key) = (Vault::new(&Key::random()), Key::random());
        let kept = vault.lock(&key, "0123", "operator").unwrap();
        let out = vault.unlock(&kept, "0123", "operator").unwrap();
        assert_eq!(out.bytes(), key.bytes());
        assert!(vault.unlock(&kept, "0124", "operator").is_none());
        assert!(vault.unlock(&kept, "0123", "mallory").is_none());
        let other = Vault::new(&Key::random());
        assert!(other.unlock(&kept, "0123", "operator").is_none());
        assert!(vault.unlock(&kept[1..], "0123", "operator").is_none());
        assert!(vault.unlock("", "0123", "operator").is_none());
        assert_ne!(vault.lock(&key, "0123", "operator"), Some(kept));
    }
}
