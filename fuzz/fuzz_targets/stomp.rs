//! Any bytes as what a broker sends.
//! It must only see that they are the same frames in one piece and in any pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::stomp::frame::{DecodeError, Decoder, Frame, Limits};

/// Small, so that what is beyond them is met too.
const LIMITS: Limits = Limits {
    headers: 8,
    line: 128,
    body: 256,
};

// The first byte says into pieces of what length the rest is cut.
fuzz_target!(|bytes: &[u8]| {
    let Some((length, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = frames(std::iter::once(bytes));
    let length = usize::from(*length).max(1);
    assert_eq!(frames(bytes.chunks(length)), whole);
});

/// The frames in these pieces, up to the first error.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<DecodeError>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut frames = Vec::new();
    for mut piece in pieces {
        loop {
            let left = piece.len();
            match decoder.decode(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
            assert!(piece.len() < left, "a frame of nothing");
        }
        assert!(piece.is_empty(), "what goes on must be taken in");
    }
    (frames, None)
}
