//! How a session ended, and whose doing it was.
//! It must not do anything about it.

use std::{fmt, io};

/// A party to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one who called.
    Client,
    /// The one who was called.
    Host,
}

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    /// No byte in either direction for too long.
    Idle,
    /// No byte for too long after one side had finished.
    HalfClosed,
    /// The session has lasted as long as it may.
    Lifetime,
}

/// How a session ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Both sides finished, and everything that either sent was passed on.
    Finished,
    /// One side broke the connection; the other was told so by a reset.
    Broken(Side, io::Error),
    /// We ended it because time ran out; both sides were reset.
    TimedOut(Timeout),
    /// We ended it because we were asked to; both sides were reset.
    Closed,
    /// We ended it so that it comes back on another host; both sides were told so by an end.
    Spread,
}

impl Ending {
    /// Whose doing it was, for the access log: `client`, `host`, `us`, or `both`.
    pub(super) fn by(&self) -> &'static str {
        match self {
            Self::Finished => "both",
            Self::Broken(Side::Client, _) => "client",
            Self::Broken(Side::Host, _) => "host",
            Self::TimedOut(_) | Self::Closed | Self::Spread => "us",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Broken(_, error) => write!(f, "broken: {}", error.kind()),
            Self::TimedOut(Timeout::Idle) => f.write_str("idle too long"),
            Self::TimedOut(Timeout::HalfClosed) => f.write_str("half-closed too long"),
            Self::TimedOut(Timeout::Lifetime) => f.write_str("lifetime over"),
            Self::Closed => f.write_str("closed on request"),
            Self::Spread => f.write_str("closed to be spread again"),
        }
    }
}
