//! Keeps a connection up: broker after broker, with a random delay, for as long as anybody wants.
//! It must not send anything twice, nor keep for later what could not be sent.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    Broker, Error, Link, Options,
    client::Order,
    dial::{Connected, Open, log_in},
    registry::Registry,
    session::{self, Ended, Surroundings},
};

/// How long to wait at most before the first new try, and before any.
const DELAYS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];
/// A connection that lasted so long was a good one: what failed before it no longer counts.
const GOOD: Duration = Duration::from_secs(30);

pub(super) struct Supervisor {
    options: Options,
    open: Open,
    orders: mpsc::Receiver<Order>,
    link: watch::Sender<Link>,
    registry: Registry,
    /// How many connections there have been.
    sessions: u64,
}

/// Nobody wants a connection any more.
struct Unwanted;

impl Supervisor {
    pub(super) fn new(
        options: Options,
        open: Open,
        orders: mpsc::Receiver<Order>,
        link: watch::Sender<Link>,
    ) -> Self {
        Self {
            options,
            open,
            orders,
            link,
            registry: Registry::default(),
            sessions: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let mut failures = 0;
        // From the first to the last, and again; where there is none, there is nothing to do.
        let brokers = self.options.brokers.clone();
        for broker in brokers.iter().cycle() {
            let began = Instant::now();
            let why = match self.try_once(broker).await {
                Ok(why) => why,
                Err(Unwanted) => break,
            };
            if began.elapsed() >= GOOD {
                failures = 0;
            }
            self.link
                .send_replace(Link::Down(Some(format!("{broker}: {why}"))));
            let pause = sleep(delay(failures / brokers.len(), rand::random()));
            failures += 1;
            if self.meanwhile(pause).await.is_err() {
                break;
            }
        }
        self.link
            .send_replace(Link::Down(Some(Error::Closed.to_string())));
    }

    /// Connects to `broker` and carries the connection to its end; returns why it ended.
    async fn try_once(&mut self, broker: &Broker) -> Result<String, Unwanted> {
        match self.connect(broker).await? {
            Ok(connected) => match self.carry(connected, broker).await {
                Ended::Closed => Err(Unwanted),
                Ended::Broken(why) => Ok(why),
            },
            Err(why) => Ok(why),
        }
    }

    async fn connect(&mut self, broker: &Broker) -> Result<Result<Connected, String>, Unwanted> {
        let options = self.options.clone();
        let patience = options.connect_timeout;
        let opened = (self.open)(broker.clone(), options.trust.clone());
        let connected = async { log_in(opened.await?, broker, &options).await };
        let dialled = timeout(patience, connected);
        let late = || Err(format!("no answer within {patience:?}"));
        Ok(self.meanwhile(dialled).await?.unwrap_or_else(|_| late()))
    }

    async fn carry(&mut self, connected: Connected, broker: &Broker) -> Ended {
        self.sessions += 1;
        self.registry.sweep();
        let around = Surroundings {
            options: &self.options,
            broker,
            session: self.sessions,
            registry: &mut self.registry,
            orders: &mut self.orders,
            link: &self.link,
        };
        session::run(connected, around).await
    }

    /// Runs `work`, and refuses meanwhile what would need a connection.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Unwanted> {
        tokio::pin!(work);
        loop {
            let order = tokio::select! {
                done = &mut work => return Ok(done),
                order = self.orders.recv() => order,
            };
            match order {
                Some(Order::Send { confirm, .. }) => drop(confirm.send(Err(Error::Down))),
                Some(Order::Acknowledge { confirm, .. }) => drop(confirm.send(Err(Error::Stale))),
                Some(Order::Subscribe(subscribe, send)) => {
                    self.registry.add(subscribe, send);
                }
                Some(Order::Sweep) => drop(self.registry.sweep()),
                Some(Order::Close(done)) => {
                    let _ = done.send(());
                    return Err(Unwanted);
                }
                None => return Err(Unwanted),
            }
        }
    }
}

/// How long to wait after so many rounds of failures: anything up to twice as long as after one
/// less, so that the clients of a broker that comes back do not come all at once.
fn delay(rounds: usize, chance: f64) -> Duration {
    let doublings = u32::try_from(rounds).unwrap_or(u32::MAX).min(16);
    let [first, longest] = DELAYS;
    (first * 2_u32.pow(doublings)).min(longest).mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_with_each_round_up_to_half_a_minute_and_chance_takes_part_of_it() {
        assert_eq!(delay(0, 1.0), Duration::from_millis(100));
        assert_eq!(delay(3, 1.0), Duration::from_millis(800));
        assert_eq!(delay(3, 0.5), Duration::from_millis(400));
        assert_eq!(delay(9, 1.0), Duration::from_secs(30));
        assert_eq!(delay(usize::MAX, 1.0), Duration::from_secs(30));
        assert_eq!(delay(usize::MAX, 0.0), Duration::ZERO);
    }
}
