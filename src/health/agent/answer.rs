//! The line of an agent, understood: `up 75% maxconn:30`, `down#disk full`. Pure.
//! It must not know whom the answer is from.
//!
//! The words are those of HAProxy's configuration manual, section 5.2, `agent-check`.

use crate::health::{Advice, Mode, Outcome};

/// The highest weight, in percent: what makes 256 of 1.
const MAX_PERCENT: u16 = 25_600;
const MAX_SESSIONS: u32 = 1_000_000_000;

/// What one word says.
enum Word {
    Passes,
    Fails,
    Mode(Mode),
    Weight(u16),
    MaxSessions(u32),
}

/// What `line`, without its end, comes to.
///
/// Words stand between spaces, tabs or commas, in any case of letters; what follows a `#` is for
/// people. One word that says that the host is down is enough; of others that contradict each
/// other, the last one counts. What is not understood is left out and told; nothing understood at
/// all is no answer.
pub(super) fn read(line: &str) -> Outcome {
    let words = line.split('#').next().unwrap_or_default();
    let words = words.split(|c: char| c.is_whitespace() || c == ',');
    let mut advice = Advice::default();
    let (mut fails, mut understood, mut strange) = (false, false, None);
    for text in words.filter(|text| !text.is_empty()) {
        let Some(word) = understand(text) else {
            strange = strange.or(Some(text));
            continue;
        };
        understood = true;
        match word {
            Word::Passes => {}
            Word::Fails => fails = true,
            Word::Mode(mode) => advice.mode = Some(mode),
            Word::Weight(percent) => advice.weight = Some(percent),
            Word::MaxSessions(count) => advice.max_sessions = Some(count),
        }
    }
    let line = line.trim();
    if line.is_empty() {
        return Outcome::failed("the agent answered nothing");
    }
    if !understood {
        return Outcome::failed(format!("the agent answered what no agent says: {line}"));
    }
    let aside = match strange {
        Some(word) => format!(" (not understood: {word})"),
        None => String::new(),
    };
    // In front, for a long line is cut.
    let reason = format!("the agent says{aside}: {line}");
    let outcome = if fails {
        Outcome::failed(reason)
    } else {
        Outcome::passed(reason)
    };
    Outcome { advice, ..outcome }
}

fn understand(text: &str) -> Option<Word> {
    let text = text.to_ascii_lowercase();
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u64>().unwrap_or(u64::MAX))
    };
    if let Some(percent) = text.strip_suffix('%') {
        let percent = number(percent)?.min(MAX_PERCENT.into());
        return Some(Word::Weight(u16::try_from(percent).ok()?));
    }
    if let Some(count) = text.strip_prefix("maxconn:") {
        let count = number(count)?.min(MAX_SESSIONS.into());
        return Some(Word::MaxSessions(u32::try_from(count).ok()?));
    }
    match text.as_str() {
        "up" => Some(Word::Passes),
        "down" | "fail" | "stopped" => Some(Word::Fails),
        "ready" => Some(Word::Mode(Mode::Ready)),
        "drain" => Some(Word::Mode(Mode::Drain)),
        "maint" => Some(Word::Mode(Mode::Maintenance)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::Verdict::{Failed, Passed};

    #[test]
    fn each_word_says_what_it_says() {
        let nothing = Advice::default();
        let mode = |mode| Advice {
            mode: Some(mode),
            ..nothing
        };
        let weight = |percent| Advice {
            weight: Some(percent),
            ..nothing
        };
        let most = |count| Advice {
            max_sessions: Some(count),
            ..nothing
        };
        let all = Advice {
            weight: Some(75),
            mode: Some(Mode::Ready),
            max_sessions: Some(30),
        };
        for (line, verdict, advice) in [
            ("up", Passed, nothing),
            ("UP", Passed, nothing),
            ("down", Failed, nothing),
            ("fail", Failed, nothing),
            ("stopped#for the night", Failed, nothing),
            ("ready", Passed, mode(Mode::Ready)),
            ("drain", Passed, mode(Mode::Drain)),
            ("maint", Passed, mode(Mode::Maintenance)),
            ("75%", Passed, weight(75)),
            ("0%", Passed, weight(0)),
            ("99999999999999999999999%", Passed, weight(25_600)),
            ("maxconn:30", Passed, most(30)),
            ("maxconn:99999999999999999999", Passed, most(1_000_000_000)),
            ("up ready, 75%\tmaxconn:30 # all is well", Passed, all),
            ("ready drain", Passed, mode(Mode::Drain)),
            ("up down", Failed, nothing),
            ("down up", Failed, nothing),
            ("up weight:3", Passed, nothing),
        ] {
            let outcome = read(line);
            assert_eq!(
                (outcome.verdict, outcome.advice),
                (verdict, advice),
                "{line}"
            );
        }
    }

    #[test]
    fn what_no_agent_says_is_no_answer() {
        for line in [
            "",
            " ",
            "#",
            "#up",
            "HTTP/1.1 400 Bad Request",
            "%",
            "-5%",
            "75 %",
            "maxconn:",
            "upp",
        ] {
            assert_eq!(read(line).verdict, Failed, "{line}");
        }
    }

    #[test]
    fn the_reason_has_the_words_and_what_is_for_people() {
        assert_eq!(
            read("down # disk full\u{7}").reason,
            "the agent says: down # disk full\u{fffd}"
        );
        assert_eq!(
            read("up foo bar").reason,
            "the agent says (not understood: foo): up foo bar"
        );
    }

    proptest! {
        #[test]
        fn any_line_comes_to_something_fit_to_be_shown(line in ".{0,1200}") {
            let outcome = read(&line);
            prop_assert!(!outcome.reason.is_empty());
            prop_assert!(outcome.reason.chars().count() <= 301);
            prop_assert!(!outcome.reason.contains(char::is_control));
        }

        #[test]
        fn order_and_separators_do_not_matter_where_nothing_contradicts(
            percent in 0..=25_600_u16,
            count in 0..=1_000_000_000_u32,
            mut words in Just(vec!["up".to_owned(), "drain".to_owned()]),
            rotate in 0..4_usize,
            separator in prop::sample::select(vec![" ", ",", "\t", " , "]),
        ) {
            words.extend([format!("{percent}%"), format!("maxconn:{count}")]);
            words.rotate_left(rotate);
            let outcome = read(&words.join(separator));
            let advice = Advice {
                weight: Some(percent),
                mode: Some(Mode::Drain),
                max_sessions: Some(count),
            };
            prop_assert_eq!((outcome.verdict, outcome.advice), (Passed, advice));
        }
    }
}
