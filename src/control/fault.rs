//! The fault switch: where a debug build is told to break off, so that tests can see what is left.
//! It must not do anything unless it was armed, and is nothing at all in a release build.

/// A step of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step(&'static str);

pub(super) const BEFORE_PREPARE: Step = Step("before-prepare");
pub(super) const AFTER_PREPARE: Step = Step("after-prepare");
pub(super) const BEFORE_RECORD: Step = Step("before-record");
pub(super) const AFTER_RECORD: Step = Step("after-record");
pub(super) const AFTER_COMMIT: Step = Step("after-commit");
pub(super) const BEFORE_RENAME: Step = Step("before-rename");
pub(super) const AFTER_RENAME: Step = Step("after-rename");
pub(super) const BEFORE_REPLY: Step = Step("before-reply");

#[cfg(debug_assertions)]
pub(crate) use armed::arm;
#[cfg(debug_assertions)]
pub(super) use armed::reached;

/// Nothing.
#[cfg(not(debug_assertions))]
pub(super) const fn reached(_: Step) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    use super::Step;

    static FAULT: OnceLock<(String, AtomicU64)> = OnceLock::new();

    /// Has the process abort at a step: `after-prepare:3` is the third time that it is reached.
    /// Anything else arms nothing.
    pub(crate) fn arm(switch: &str) {
        if let Some((step, times)) = switch.split_once(':')
            && let Ok(times) = times.parse()
        {
            // Only the first one counts: a process arms once, at its start.
            let _ = FAULT.set((step.to_owned(), AtomicU64::new(times)));
        }
    }

    /// Aborts, where that was asked.
    pub(in crate::control) fn reached(step: Step) {
        if let Some((name, left)) = FAULT.get()
            && name == step.0
            && left.fetch_sub(1, Relaxed) == 1
        {
            std::process::abort();
        }
    }
}
