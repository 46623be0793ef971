//! The box in which a log-in travels: libsodium's sealed box, which only the node can open.
//! It must not know what is in it.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use crypto_box::{PublicKey, SecretKey, aead::OsRng};
use secrecy::zeroize::Zeroizing;

use super::key::Key;

/// As libraries write it: with padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What opens boxes: the node's X25519 key.
pub struct NodeKey(SecretKey);

impl NodeKey {
    /// The node's key.
    pub fn new(key: &Key) -> Self {
        Self(SecretKey::from_bytes(*key.bytes()))
    }

    /// What seals boxes for it, in base64.
    pub fn public(&self) -> String {
        BASE64_STANDARD.encode(self.0.public_key().as_bytes())
    }

    /// What is in a box; `None` when it is none of ours.
    pub fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = LENIENT.decode(sealed.trim_ascii()).ok()?;
        let opened = self.0.unseal(&bytes).ok()?;
        Some(Zeroizing::new(opened))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeKey").field(&self.public()).finish()
    }
}

/// Seals `content` for the node whose public key is `public`, in base64; `None` when that is none.
pub fn seal(public: &str, content: &[u8]) -> Option<String> {
    let bytes = LENIENT.decode(public.trim()).ok()?;
    let public = PublicKey::from_slice(&bytes).ok()?;
    let sealed = public.seal(&mut OsRng, content).ok()?;
    Some(BASE64_STANDARD.encode(sealed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_node_that_it_was_sealed_for_opens_a_box() {
        let (key, other) = (NodeKey::new(&Key::random()), NodeKey::new(&Key::random()));
        let sealed = seal(&key.public(), b"open sesame").unwrap();
        assert!(!sealed.contains("sesame"));
        let opened = |key: &NodeKey, sealed: &str| key.open(sealed.as_bytes());
        assert_eq!(&**opened(&key, &sealed).unwrap(), b"open sesame");
        assert_eq!(
            &**opened(&key, &format!("{sealed}\n")).unwrap(),
            b"open sesame"
        );
        assert!(opened(&other, &sealed).is_none());
        assert!(opened(&key, &sealed[4..]).is_none());
        assert!(opened(&key, &sealed.replace('=', "")).is_some());
        assert!(seal("AAAA", b"").is_none());
        assert_ne!(seal(&key.public(), b"x"), seal(&key.public(), b"x"));
    }

    /// Made with libsodium (PyNaCl 1.5.0: `SealedBox(PrivateKey(bytes(range(32))).public_key)`).
    #[test]
    fn a_box_of_libsodium_is_opened() {
        let key: [u8; 32] = std::array::from_fn(|at| at as u8);
        let key = NodeKey::new(&Key::new(key));
        assert_eq!(key.public(), PUBLIC);
        assert_eq!(&**key.open(SEALED.as_bytes()).unwrap(), b"hello");
    }

    const PUBLIC: &str = "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=";
    const SEALED: &str = "u2R6A0xbHfwOfVDhjStSUCMqVL4k47wjxxzfniIl/QJ6sbZHTFcMhE3q9zorW1+ZtyZQejU=";

    proptest! {
        #[test]
        fn any_bytes_are_opened_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let key = NodeKey::new(&Key::new([7; 32]));
            prop_assert!(key.open(&bytes).is_none());
            prop_assert!(key.open(BASE64_STANDARD.encode(&bytes).as_bytes()).is_none());
        }
    }
}
