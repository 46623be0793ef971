//! What a backend did for a log-in, step by step, for whoever asked to see it.
//! It must not be shown to the person at the door, and no secret may be told to it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// How many steps are kept; a backend that takes more has told enough.
const MOST: usize = 200;

/// An account of what happens, or nobody who listens. Clones tell the same account.
#[derive(Clone, Default)]
pub struct Steps(Option<Arc<Mutex<Vec<String>>>>);

impl Steps {
    /// Nobody listens.
    pub const fn unheard() -> Self {
        Self(None)
    }

    /// What is told is kept for [`Self::told`].
    pub fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    /// Tells a step, as a sentence; it is not even worded when nobody listens. After 200 steps,
    /// further ones are dropped.
    pub fn tell(&self, word: impl FnOnce() -> String) {
        let Some(kept) = &self.0 else {
            return;
        };
        let step = word();
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST {
            kept.push(step);
        }
    }

    /// What was told so far, in its order.
    pub fn told(&self) -> Vec<String> {
        let kept = self.0.as_ref();
        kept.map_or_else(Vec::new, |kept| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_kept_in_their_order_up_to_a_bound() {
        let steps = Steps::kept();
        for number in 0..1000 {
            steps.clone().tell(|| number.to_string());
        }
        let told = steps.told();
        assert_eq!(told.len(), MOST);
        assert_eq!(told[..2], ["0", "1"]);
    }

    #[test]
    fn a_step_that_nobody_hears_is_not_worded() {
        let steps = Steps::unheard();
        steps.tell(|| unreachable!("nobody listens"));
        assert!(steps.told().is_empty());
    }
}
