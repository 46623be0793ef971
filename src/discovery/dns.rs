//! Host names: resolved by the system's configuration, and again when the answer has aged.
//! It must not forget the last good answer because a resolver fails.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    system_conf::read_system_conf,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

/// Questions at a time, of all names.
const AT_ONCE: usize = 64;
/// The least time between two questions for one name, whatever its time to live.
const FLOOR: Duration = Duration::from_secs(1);
/// The most time.
const CEILING: Duration = Duration::from_secs(300);
/// How long a question may take, over all servers.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after a failure it is asked again at first; twice as long each time, up to so long.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// What a name is said to lack that exists, and leads nowhere.
const NO_ADDRESS: &str = "it has no address";
/// The most addresses that are taken from one answer.
pub const MAX_ADDRESSES: usize = 64;

/// Why a name was not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no usable configuration.
    #[error("cannot read the system's resolver configuration: {0}")]
    Configuration(String),
    /// Nobody knew.
    #[error("cannot resolve {name}: {reason}")]
    Unresolved {
        /// The name.
        name: String,
        /// What the resolver said.
        reason: String,
    },
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its addresses, sorted, none twice; at least one.
    pub addresses: Vec<IpAddr>,
    /// When it is to be asked for again.
    pub good_for: Duration,
}

/// Asks name servers. Clones ask together: they share what they know of servers, and the places.
#[derive(Clone, Debug)]
pub struct Resolver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The servers to ask, where it is not for the system to say.
    servers: Vec<SocketAddr>,
    /// What asks, until something fails: the system may have been configured anew by then.
    asking: Mutex<Option<Arc<TokioResolver>>>,
    places: Semaphore,
}

impl Resolver {
    /// Asks as the system is configured: `resolv.conf` with its search domains, and `hosts`.
    pub fn system() -> Self {
        Self::asking(Vec::new())
    }

    /// Asks `servers` instead of those in `resolv.conf`, whose search domains hold; without any,
    /// the latter.
    pub fn asking(servers: Vec<SocketAddr>) -> Self {
        Self(Arc::new(Shared {
            servers,
            asking: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        }))
    }

    /// Resolves `name` to its IPv4 and IPv6 addresses.
    ///
    /// # Errors
    /// Why not. The system's configuration is read anew the next time.
    pub async fn lookup(&self, name: &str) -> Result<Answer, ResolveError> {
        let unresolved = |reason: String| ResolveError::Unresolved {
            name: name.to_owned(),
            reason,
        };
        // Never closed; who cannot have a place has no answer.
        let _place = self.0.places.acquire().await;
        let asking = self.asker()?;
        let answer = match timeout(PATIENCE, asking.lookup_ip(name)).await {
            Ok(Ok(found)) => {
                let good_for = found
                    .valid_until()
                    .saturating_duration_since(Instant::now());
                let answer = answer(found.iter(), good_for);
                answer.ok_or_else(|| unresolved(NO_ADDRESS.to_owned()))
            }
            Ok(Err(error)) if error.is_nx_domain() => {
                Err(unresolved("there is no such name".to_owned()))
            }
            Ok(Err(error)) if error.is_no_records_found() => Err(unresolved(NO_ADDRESS.to_owned())),
            Ok(Err(error)) => Err(unresolved(error.to_string())),
            Err(_) => Err(unresolved(format!("no answer within {PATIENCE:?}"))),
        };
        if answer.is_err() {
            let mut current = self.current();
            if current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &asking))
            {
                *current = None;
            }
        }
        answer
    }

    fn asker(&self) -> Result<Arc<TokioResolver>, ResolveError> {
        let mut current = self.current();
        if let Some(asking) = &*current {
            return Ok(Arc::clone(asking));
        }
        let refused =
            |error: hickory_resolver::net::NetError| ResolveError::Configuration(error.to_string());
        let servers = &self.0.servers;
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(refused)?
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            let known = read_system_conf().map(|(config, _)| config).ok();
            let search = known.map_or_else(Vec::new, |known| known.search().to_vec());
            let config = ResolverConfig::from_parts(None, search, servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // We ask when the answer has aged; somebody else's memory would only make it older.
        options.cache_size = 0;
        let asking = Arc::new(builder.build().map_err(refused)?);
        Ok(Arc::clone(current.insert(asking)))
    }

    /// Never held across a wait.
    fn current(&self) -> MutexGuard<'_, Option<Arc<TokioResolver>>> {
        let current = self.0.asking.lock();
        current.unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn answer(found: impl Iterator<Item = IpAddr>, good_for: Duration) -> Option<Answer> {
    let mut addresses: Vec<_> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    (!addresses.is_empty()).then(|| Answer {
        addresses,
        good_for: good_for.clamp(FLOOR, CEILING),
    })
}

/// What became of a name.
#[derive(Debug)]
pub enum Finding {
    /// It stands for these addresses from now on.
    Addresses(Vec<IpAddr>),
    /// It could not be resolved, for the first time since it could; what was found last holds.
    Lost(ResolveError),
    /// It can be resolved again, and stands for what it stood for before.
    Back,
}

/// Follows `name` for as long as it is polled, and tells `heard` what is new.
pub async fn follow(resolver: Resolver, name: Arc<str>, mut heard: impl FnMut(Finding)) {
    let mut known: Option<Vec<IpAddr>> = None;
    let mut failures = 0u32;
    loop {
        match resolver.lookup(&name).await {
            Ok(answer) => {
                let was_lost = std::mem::take(&mut failures) > 0;
                if known.as_ref() != Some(&answer.addresses) {
                    known = Some(answer.addresses.clone());
                    heard(Finding::Addresses(answer.addresses));
                } else if was_lost {
                    heard(Finding::Back);
                }
                sleep(answer.good_for).await;
            }
            Err(error) => {
                if failures == 0 {
                    heard(Finding::Lost(error));
                }
                sleep(retry(failures)).await;
                failures = failures.saturating_add(1);
            }
        }
    }
}

fn retry(failures: u32) -> Duration {
    let length = FIRST_RETRY.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX));
    length.min(LAST_RETRY)
}

#[cfg(test)]
mod tests;
