//! The brake: when too many hosts go down at once, it is the probes that are doubted.
//! It must not know which hosts these are; it counts. Pure.

/// Whether the probes of a group are doubted.
#[derive(Clone, Debug, Default)]
pub struct Brake {
    on: bool,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// From now on the probes are doubted.
    On,
    /// From now on they are believed.
    Off,
}

/// How many hosts of a group are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fallen {
    /// All of them.
    pub hosts: usize,
    /// Those that are down.
    pub down: usize,
    /// Those of them that went down at once, and for which nothing but the probes speaks.
    pub at_once: usize,
}

impl Brake {
    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Looks at the hosts; `most` of them may go down at once.
    pub fn look(&mut self, fallen: Fallen, most: usize) -> Option<Pull> {
        let pull = match self.on {
            false if fallen.at_once > most => Pull::On,
            true if fallen.down <= most || fallen.at_once == 0 => Pull::Off,
            true | false => return None,
        };
        self.on = pull == Pull::On;
        Some(pull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fallen(down: usize, at_once: usize) -> Fallen {
        Fallen {
            hosts: 10,
            down,
            at_once,
        }
    }

    #[test]
    fn hosts_that_go_down_one_by_one_are_believed_to_be_down() {
        let mut brake = Brake::default();
        for down in 0..=10 {
            assert_eq!(brake.look(fallen(down, 1), 5), None);
        }
    }

    #[test]
    fn too_many_at_once_are_doubted_until_few_are_left() {
        let mut brake = Brake::default();
        assert_eq!(brake.look(fallen(5, 5), 5), None);
        assert_eq!(brake.look(fallen(6, 6), 5), Some(Pull::On));
        assert_eq!(brake.look(fallen(6, 3), 5), None);
        assert_eq!(brake.look(fallen(5, 5), 5), Some(Pull::Off));
    }

    #[test]
    fn nothing_is_doubted_that_sessions_have_confirmed() {
        let mut brake = Brake::default();
        brake.look(fallen(8, 8), 5);
        assert_eq!(brake.look(fallen(8, 1), 5), None);
        assert_eq!(brake.look(fallen(8, 0), 5), Some(Pull::Off));
        assert_eq!(brake.look(fallen(8, 0), 5), None);
    }
}
