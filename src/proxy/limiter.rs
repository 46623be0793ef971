//! A limit on lines that others can provoke: so many in a span, the rest counted up.
//! It must not write them, nor know what time it is.

use std::time::{Duration, Instant};

/// Lets so many through in each span.
#[derive(Debug)]
pub(super) struct Limiter {
    most: u32,
    span: Duration,
    opened: Option<Instant>,
    said: u32,
    suppressed: u64,
}

impl Limiter {
    /// Lets `most` through in each `span`.
    pub(super) const fn new(most: u32, span: Duration) -> Self {
        Self {
            most,
            span,
            opened: None,
            said: 0,
            suppressed: 0,
        }
    }

    /// Whether one more may be written at `now`; where not, it is counted.
    pub(super) fn may(&mut self, now: Instant) -> bool {
        if self.is_over(now) {
            self.opened = Some(now);
            self.said = 0;
        }
        let may = self.said < self.most;
        if may {
            self.said += 1;
        } else {
            self.suppressed += 1;
        }
        may
    }

    /// How many were not written, once their span is over; said once.
    pub(super) fn suppressed(&mut self, now: Instant) -> Option<u64> {
        if self.suppressed == 0 || !self.is_over(now) {
            return None;
        }
        Some(std::mem::take(&mut self.suppressed))
    }

    /// How many were not written and not said yet, where nothing comes after it.
    pub(super) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.suppressed)).filter(|number| *number > 0)
    }

    fn is_over(&self, now: Instant) -> bool {
        let over = |opened| now.saturating_duration_since(opened) >= self.span;
        self.opened.is_none_or(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_let_through_and_the_others_told_as_a_number() {
        let (span, start) = (Duration::from_secs(1), Instant::now());
        let mut limiter = Limiter::new(3, span);
        let let_through = (0..10).filter(|_| limiter.may(start)).count();
        assert_eq!(let_through, 3);
        assert_eq!(limiter.suppressed(start + span / 2), None);
        assert_eq!(limiter.suppressed(start + span), Some(7));
        assert_eq!(limiter.suppressed(start + span), None);
        assert!(limiter.may(start + span));
        assert_eq!(limiter.suppressed(start + span * 3), None);
    }
}
