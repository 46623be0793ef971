//! What came of one probe.
//! It must not say what follows from it.

use std::io;

/// What came of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it passed.
    pub verdict: Verdict,
    /// What was found: a lower-case sentence on one line, without a full stop, fit to be shown.
    pub reason: String,
    /// It passed, but a person should look: the certificate ends soon.
    pub warning: bool,
    /// For how many whole days the certificate is still good, where one was looked at.
    pub certificate_days: Option<u32>,
    /// What the host said of itself.
    pub advice: Advice,
}

/// Whether a probe passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host answered as it should.
    Passed,
    /// It did not.
    Failed,
    /// It could not be asked, for a reason on our side: this says nothing about the host.
    NotAsked,
}

/// What a host said of itself. What it did not mention stays as it said before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// Its weight from now on, in percent of the configured one: 0 to 25,600.
    pub weight: Option<u16>,
    /// Whether it wants new sessions.
    pub mode: Option<Mode>,
    /// How many sessions it takes at a time, 0 to 1,000,000,000; no more than is configured.
    pub max_sessions: Option<u32>,
}

/// Whether a host wants new sessions. Only it may undo what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does; whatever it said before is undone.
    Ready,
    /// None for now; those that are open run out.
    Drain,
    /// None for now: it is worked on.
    Maintenance,
}

/// The longest reason, in characters.
const MAX_REASON: usize = 300;

impl Outcome {
    /// It passed.
    pub fn passed(reason: impl Into<String>) -> Self {
        Self::new(Verdict::Passed, reason.into())
    }

    /// It failed.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::new(Verdict::Failed, reason.into())
    }

    /// The host was not asked.
    pub fn not_asked(reason: impl Into<String>) -> Self {
        Self::new(Verdict::NotAsked, reason.into())
    }

    /// `what` could not be done because of `error`: our fault where we ran out of something.
    pub(super) fn of_error(what: &str, error: &io::Error) -> Self {
        let verdict = if is_ours(error) {
            Verdict::NotAsked
        } else {
            Verdict::Failed
        };
        Self::new(verdict, format!("{what}: {}", wording(error)))
    }

    fn new(verdict: Verdict, reason: String) -> Self {
        Self {
            verdict,
            reason: fit_to_show(&reason),
            warning: false,
            certificate_days: None,
            advice: Advice::default(),
        }
    }
}

/// Whether it is us who ran out of something: descriptors, memory, ports.
fn is_ours(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let ours = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::ADDRNOTAVAIL,
        Errno::AGAIN,
        Errno::PERM,
        Errno::ACCESS,
    ];
    Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
}

/// The system's word for `error`, without its number.
fn wording(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_lowercase()
}

/// `text` on one line, with nothing in it that a terminal obeys, and of bounded length.
pub(super) fn fit_to_show(text: &str) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == MAX_REASON {
            shown.push('…');
            break;
        }
        let is_obeyed =
            c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        shown.push(if is_obeyed { '\u{fffd}' } else { c });
    }
    shown
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_we_lack_is_not_held_against_the_host() {
        let verdict = |errno: Errno| Outcome::of_error("cannot connect", &errno.into()).verdict;
        for ours in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL] {
            assert_eq!(verdict(ours), Verdict::NotAsked, "{ours:?}");
        }
        for theirs in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::CONNRESET] {
            assert_eq!(verdict(theirs), Verdict::Failed, "{theirs:?}");
        }
    }

    #[test]
    fn a_reason_is_one_line_that_a_terminal_does_not_obey() {
        let outcome = Outcome::of_error("cannot connect", &Errno::CONNREFUSED.into());
        assert_eq!(outcome.reason, "cannot connect: connection refused");
        let hostile = Outcome::failed("says \u{1b}[2J\r\nup\u{202e}");
        assert_eq!(hostile.reason, "says \u{fffd}[2J\u{fffd}\u{fffd}up\u{fffd}");
        let endless = Outcome::failed("é".repeat(5000));
        assert_eq!(endless.reason.chars().count(), MAX_REASON + 1);
    }
}
