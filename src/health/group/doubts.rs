//! Whether the probes of a group are believed, when many of its hosts go down at once.
//! It must not change what they said.

use super::{
    super::{
        brake::{Brake, Fallen, Pull},
        history::Said,
        news::News,
    },
    Fall, Group, Host,
};

impl Group {
    pub(super) fn look_at_brake(&mut self, now: u64) {
        let (Some(share), Some(rules)) = (self.wanted.panic, self.wanted.rules) else {
            self.brake = Brake::default();
            return;
        };
        let at_once = rules.round() + rules.interval;
        let lately = |host: &Host| now.saturating_sub(host.history.since()) <= at_once;
        let mut fallen = Fallen::default();
        for host in self.hosts.values().filter(|host| host.in_use) {
            fallen.hosts += 1;
            if host.history.said() == Said::Down {
                fallen.down += 1;
                let doubtful = match host.fall {
                    // It takes no sessions by which the probes could be told right or wrong.
                    Fall::Probed | Fall::Doubted if host.outlier.ejected().is_some() => false,
                    Fall::Probed => lately(host),
                    Fall::Doubted => true,
                    Fall::Confirmed => false,
                };
                fallen.at_once += usize::from(doubtful);
            }
        }
        let pull = self.brake.look(fallen, share.of(fallen.hosts));
        match pull {
            Some(Pull::On) => self.news.push(News::Panic(fallen)),
            Some(Pull::Off) => self.news.push(News::PanicEnded(fallen)),
            None => {}
        }
        for host in self.hosts.values_mut() {
            let ejected = host.outlier.ejected().is_some();
            let doubtful = self.brake.is_on() && host.is_down() && !ejected && lately(host);
            let fall = match host.fall {
                Fall::Probed if doubtful => Fall::Doubted,
                Fall::Doubted if !self.brake.is_on() => Fall::Probed,
                Fall::Probed | Fall::Doubted | Fall::Confirmed => host.fall,
            };
            self.changed |= fall != host.fall;
            host.fall = fall;
        }
    }
}
