//! The return of a group that had no host left: held back until enough hosts are there to share
//! what waits, so that the first one is not run over.
//! It must not know which hosts these are; it counts. Pure.

/// For how long a group is held back at most, in milliseconds.
const LONGEST: u64 = 5_000;

/// Whether a group may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// It may.
    #[default]
    Free,
    /// It has no host that can be used.
    Empty,
    /// It has too few again, and is waited for until then.
    Held(u64),
}

impl Release {
    /// Looks at how many of the hosts can be used at `now`; within `round` milliseconds all have
    /// been probed once.
    pub fn look(&mut self, now: u64, hosts: usize, usable: usize, round: u64) {
        let until = match *self {
            Self::Held(until) => until,
            Self::Free | Self::Empty => now.saturating_add(round.min(LONGEST)),
        };
        *self = match (*self, usable) {
            (_, 0) => Self::Empty,
            (Self::Free, _) => Self::Free,
            (Self::Empty | Self::Held(_), usable) if 2 * usable >= hosts || until <= now => {
                Self::Free
            }
            (Self::Empty | Self::Held(_), _) => Self::Held(until),
        };
    }

    /// Whether the group may be used.
    pub fn is_free(self) -> bool {
        self == Self::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_was_empty_waits_for_half_of_its_hosts() {
        let mut release = Release::default();
        release.look(0, 4, 0, 2000);
        assert_eq!(release, Release::Empty);
        release.look(100, 4, 1, 2000);
        assert_eq!(release, Release::Held(2100));
        release.look(200, 4, 2, 2000);
        assert!(release.is_free());
    }

    #[test]
    fn it_waits_no_longer_than_a_round_of_probes() {
        let mut release = Release::Empty;
        release.look(0, 4, 1, 2000);
        release.look(1999, 4, 1, 2000);
        assert!(!release.is_free());
        release.look(2000, 4, 1, 2000);
        assert!(release.is_free());
        let mut release = Release::Empty;
        release.look(0, 4, 1, 1_000_000);
        assert_eq!(release, Release::Held(LONGEST));
    }

    #[test]
    fn a_group_that_loses_hosts_but_not_all_is_never_held_back() {
        let mut release = Release::default();
        release.look(0, 100, 1, 2000);
        assert!(release.is_free());
    }
}
