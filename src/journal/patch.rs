//! What differs between two texts, kept small, and a text put together again.
//! It must not know what the texts say.

/// How to make a text from the one before it: what both begin and end with, and what is between.
///
/// One thing changed in a long configuration leaves a short `middle`; a snapshot is the patch that
/// takes nothing from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patch<'a> {
    /// Bytes from the beginning of the text before.
    pub(super) prefix: usize,
    /// Bytes from the end of the text before.
    pub(super) suffix: usize,
    /// What stands between them.
    pub(super) middle: &'a str,
}

/// Compared at a time.
const CHUNK: usize = 256;

impl<'a> Patch<'a> {
    pub(super) fn snapshot(text: &'a str) -> Self {
        Self {
            prefix: 0,
            suffix: 0,
            middle: text,
        }
    }

    pub(super) fn between(old: &str, new: &'a str) -> Self {
        let (a, b) = (old.as_bytes(), new.as_bytes());
        let alike = a.chunks(CHUNK).zip(b.chunks(CHUNK));
        let prefix = CHUNK
            * alike
                .take_while(|(a, b)| a == b && a.len() == CHUNK)
                .count();
        let rest = a.iter().skip(prefix).zip(b.iter().skip(prefix));
        let prefix = prefix + rest.take_while(|(a, b)| a == b).count();
        // Bytes can be alike in part of a character.
        let prefix = new.floor_char_boundary(prefix);
        let (a, b) = (
            a.get(prefix..).unwrap_or(&[]),
            b.get(prefix..).unwrap_or(&[]),
        );
        let alike = a.rchunks(CHUNK).zip(b.rchunks(CHUNK));
        let suffix = CHUNK
            * alike
                .take_while(|(a, b)| a == b && a.len() == CHUNK)
                .count();
        let rest = a.iter().rev().skip(suffix).zip(b.iter().rev().skip(suffix));
        let suffix = suffix + rest.take_while(|(a, b)| a == b).count();
        let suffix = new.len() - new.ceil_char_boundary(new.len() - suffix);
        let middle = new.get(prefix..new.len() - suffix).unwrap_or_default();
        Self {
            prefix,
            suffix,
            middle,
        }
    }

    /// The text that it makes of `old`; `None` when it does not fit.
    pub(super) fn apply(&self, old: &str) -> Option<String> {
        let head = old.get(..self.prefix)?;
        let tail = old.get(old.len().checked_sub(self.suffix)?..)?;
        (self.prefix + self.suffix <= old.len()).then(|| [head, self.middle, tail].concat())
    }
}

/// What tells a text put together wrongly.
pub(super) fn digest(text: &str) -> i64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_patch_makes_the_new_text_of_the_old(
            old in "[aé€]{0,600}", at in 0_usize..600, cut in 0_usize..9, put in "[aéè€]{0,5}",
        ) {
            let mut characters: Vec<char> = old.chars().collect();
            let at = at.min(characters.len());
            let end = (at + cut).min(characters.len());
            characters.splice(at..end, put.chars());
            let new: String = characters.into_iter().collect();
            let patch = Patch::between(&old, &new);
            prop_assert_eq!(patch.apply(&old), Some(new.clone()));
            prop_assert!(patch.middle.len() <= put.len());
            prop_assert_eq!(Patch::snapshot(&new).apply(&old), Some(new));
        }
    }

    #[test]
    fn a_patch_for_another_text_is_refused() {
        let patch = Patch {
            prefix: 3,
            suffix: 3,
            middle: "",
        };
        assert_eq!(patch.apply("12345"), None);
        assert_eq!(patch.apply("€€").as_deref(), Some("€€"));
        assert_eq!(patch.apply("12€45"), None);
    }
}
