//! The body of an HTTP answer, looked through for a text as it comes in. Pure.
//! It must not look at more of it than the first 64 KiB.

/// How much of a body is looked at, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// The longest line before a chunk, in bytes.
const MAX_CHUNK_LINE: usize = 256;

/// Where a body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the chunk that has none.
    Chunked,
    /// Where the stream ends.
    ToTheEnd,
}

/// A body as it comes in.
pub(super) struct Body {
    wanted: Vec<u8>,
    part: Part,
    /// What is to be looked through; what was is gone but for what the text may begin with.
    unseen: Vec<u8>,
    /// How much was looked at.
    seen: usize,
}

/// What comes next.
enum Part {
    /// So many bytes of the body, and then the end.
    Last(u64),
    /// So many bytes of a chunk, and then its line's end.
    Chunk(u64),
    /// The end of the line after a chunk.
    ChunkEnd,
    /// The line before a chunk, as far as it came.
    ChunkLine(Vec<u8>),
    /// Nothing.
    Nothing,
}

impl Body {
    pub(super) fn new(wanted: Vec<u8>, framing: Framing) -> Self {
        let part = match framing {
            Framing::Length(0) => Part::Nothing,
            Framing::Length(length) => Part::Last(length),
            Framing::Chunked => Part::ChunkLine(Vec::new()),
            Framing::ToTheEnd => Part::Last(u64::MAX),
        };
        Self {
            wanted,
            part,
            unseen: Vec::new(),
            seen: 0,
        }
    }

    /// Takes in what came. `Some` once it is clear whether the text is there.
    pub(super) fn take(&mut self, fresh: &[u8]) -> Result<Option<bool>, String> {
        let mut rest = fresh;
        while !rest.is_empty() {
            rest = self.step(rest)?;
            if self.has_text() {
                return Ok(Some(true));
            }
            if matches!(self.part, Part::Nothing) || self.seen >= MAX_BODY {
                break;
            }
        }
        let is_over = matches!(self.part, Part::Nothing) || self.seen >= MAX_BODY;
        Ok(is_over.then_some(false))
    }

    /// Takes in some of `bytes`, and gives the rest.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], String> {
        match &mut self.part {
            Part::Nothing => return Ok(&[]),
            Part::Last(left) | Part::Chunk(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let (mine, rest) = bytes.split_at(bytes.len().min(most));
                let room = MAX_BODY.saturating_sub(self.seen);
                self.unseen
                    .extend_from_slice(mine.get(..mine.len().min(room)).unwrap_or_default());
                self.seen += mine.len();
                *left = left.saturating_sub(mine.len() as u64);
                if *left == 0 {
                    self.part = match self.part {
                        Part::Chunk(_) => Part::ChunkEnd,
                        Part::Last(_) | Part::ChunkEnd | Part::ChunkLine(_) | Part::Nothing => {
                            Part::Nothing
                        }
                    };
                }
                return Ok(rest);
            }
            Part::ChunkEnd | Part::ChunkLine(_) => {}
        }
        let Some((byte, rest)) = bytes.split_first() else {
            return Ok(&[]);
        };
        self.step_line(*byte)?;
        Ok(rest)
    }

    /// Takes in a byte between chunks (RFC 9112, section 7.1).
    fn step_line(&mut self, byte: u8) -> Result<(), String> {
        let wrong = || Err("answers in chunks that make no sense".to_owned());
        match (&mut self.part, byte) {
            (Part::ChunkEnd, b'\r') => Ok(()),
            (Part::ChunkEnd, b'\n') => {
                self.part = Part::ChunkLine(Vec::new());
                Ok(())
            }
            (Part::ChunkLine(line), b'\n') => {
                let Some(size) = chunk_size(line) else {
                    return wrong();
                };
                self.part = if size == 0 {
                    Part::Nothing
                } else {
                    Part::Chunk(size)
                };
                Ok(())
            }
            (Part::ChunkLine(line), _) if line.len() < MAX_CHUNK_LINE => {
                line.push(byte);
                Ok(())
            }
            (Part::ChunkEnd | Part::ChunkLine(_), _) => wrong(),
            (Part::Last(_) | Part::Chunk(_) | Part::Nothing, _) => Ok(()),
        }
    }

    fn has_text(&mut self) -> bool {
        let length = self.wanted.len();
        let mut windows = self.unseen.windows(length.max(1));
        if windows.any(|window| window == self.wanted.as_slice()) {
            return true;
        }
        let looked_at = self.unseen.len().saturating_sub(length.saturating_sub(1));
        self.unseen.drain(..looked_at);
        false
    }
}

/// The size that the line before a chunk says, extensions left out.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.split(';').next()?.trim();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_number)
}
