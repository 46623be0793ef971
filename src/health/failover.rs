//! Which of two groups serves: the active one, or the one that stands in for it.
//! It must not count hosts, nor know what time it is; both are told. Pure.

use super::millis;
use crate::model::topology::Backup;

/// What was decided so far.
#[derive(Clone, Debug, Default)]
pub struct Failover {
    over: bool,
    /// Since when the active group has had enough hosts again.
    enough_since: Option<u64>,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The backup group takes over.
    Over,
    /// The active group has recovered.
    Back,
}

impl Failover {
    /// As it was before.
    pub fn remembered(over: bool) -> Self {
        Self {
            over,
            enough_since: None,
        }
    }

    /// Whether the backup group serves.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// When the active group is to be looked at again, because its time will be over then.
    pub fn hands_back_at(&self, rules: &Backup) -> Option<u64> {
        Some(self.enough_since?.saturating_add(millis(rules.hold)))
    }

    /// Looks at how many hosts of each group can be used at `now`.
    pub fn look(&mut self, rules: &Backup, now: u64, active: usize, backup: usize) -> Option<Turn> {
        let enough = active >= rules.min_up.get() as usize;
        if !self.over {
            // A group without a host would take over from one that has a few.
            if enough || backup == 0 {
                return None;
            }
            *self = Self::remembered(true);
            return Some(Turn::Over);
        }
        if !enough {
            self.enough_since = None;
            // Few are more than none: there is nobody to wait for.
            if backup > 0 || active == 0 {
                return None;
            }
        } else {
            let since = *self.enough_since.get_or_insert(now);
            if backup > 0 && now.saturating_sub(since) < millis(rules.hold) {
                return None;
            }
        }
        *self = Self::default();
        Some(Turn::Back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{period::Period, topology::Count};

    fn rules() -> Backup {
        Backup {
            group: "green".parse().unwrap(),
            min_up: Count::try_from(2).unwrap(),
            hold: Period::from_secs(30),
        }
    }

    #[test]
    fn the_backup_takes_over_when_too_few_are_left_and_gives_back_after_a_while() {
        let mut failover = Failover::default();
        assert_eq!(failover.look(&rules(), 0, 2, 1), None);
        assert_eq!(failover.look(&rules(), 1, 1, 1), Some(Turn::Over));
        assert_eq!(failover.look(&rules(), 2, 1, 1), None);
        assert_eq!(failover.look(&rules(), 1000, 2, 1), None);
        assert_eq!(failover.hands_back_at(&rules()), Some(31_000));
        assert_eq!(failover.look(&rules(), 30_999, 2, 1), None);
        assert_eq!(failover.look(&rules(), 31_000, 3, 1), Some(Turn::Back));
        assert!(!failover.is_over());
    }

    #[test]
    fn a_relapse_starts_the_wait_again() {
        let mut failover = Failover::remembered(true);
        failover.look(&rules(), 0, 2, 1);
        failover.look(&rules(), 29_000, 1, 1);
        assert_eq!(failover.look(&rules(), 30_000, 2, 1), None);
        assert_eq!(failover.look(&rules(), 59_999, 2, 1), None);
        assert_eq!(failover.look(&rules(), 60_000, 2, 1), Some(Turn::Back));
    }

    #[test]
    fn a_backup_without_hosts_neither_takes_over_nor_keeps() {
        let mut failover = Failover::default();
        assert_eq!(failover.look(&rules(), 0, 0, 0), None);
        let mut failover = Failover::remembered(true);
        assert_eq!(failover.look(&rules(), 0, 0, 0), None);
        assert_eq!(failover.look(&rules(), 1, 1, 0), Some(Turn::Back));
        let mut failover = Failover::remembered(true);
        assert_eq!(failover.look(&rules(), 0, 2, 0), Some(Turn::Back));
    }
}
