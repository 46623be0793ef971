//! A name server on loopback that says what it is told to (RFC 1035), for as long as it is kept.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

/// What is known of a name: its addresses, and their time to live in seconds.
type Zone = HashMap<String, (Vec<Ipv4Addr>, u32)>;

/// The reply to a question, where it is not the zone that says.
pub type Manner = fn(&[u8]) -> Vec<u8>;

pub struct NameServer {
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    pub questions: Arc<AtomicUsize>,
    is_deaf: Arc<AtomicBool>,
    manner: Arc<Mutex<Option<Manner>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let mut server = Self {
            address: socket.local_addr().unwrap(),
            zone: Arc::default(),
            questions: Arc::default(),
            is_deaf: Arc::default(),
            manner: Arc::default(),
            stop: Arc::default(),
            thread: None,
        };
        let (zone, questions) = (Arc::clone(&server.zone), Arc::clone(&server.questions));
        let manner = Arc::clone(&server.manner);
        let (deaf, stop) = (Arc::clone(&server.is_deaf), Arc::clone(&server.stop));
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while !stop.load(SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                questions.fetch_add(1, SeqCst);
                if !deaf.load(SeqCst) {
                    let question = &buffer[..length];
                    let reply = match *manner.lock().unwrap() {
                        Some(manner) => manner(question),
                        None => reply(question, &zone.lock().unwrap()),
                    };
                    socket.send_to(&reply, from).unwrap();
                }
            }
        });
        server.thread = Some(answering);
        server
    }

    /// `name` stands for 127.0.0.x, for each of `last`, for `ttl` seconds.
    pub fn say(&self, name: &str, last: &[u8], ttl: u32) {
        let addresses = last.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last));
        let mut zone = self.zone.lock().unwrap();
        zone.insert(name.to_owned(), (addresses.collect(), ttl));
    }

    /// `name` does not exist any more.
    pub fn forget(&self, name: &str) {
        self.zone.lock().unwrap().remove(name);
    }

    /// Every reply is what `manner` makes of the question.
    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = Some(manner);
    }

    /// Whether it says nothing at all from now on.
    pub fn be_deaf(&self, deaf: bool) {
        self.is_deaf.store(deaf, SeqCst);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        self.thread.take().map(JoinHandle::join);
    }
}

/// The answer to `question`: header, the question again, and addresses if it asks for IPv4.
fn reply(question: &[u8], zone: &Zone) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    let asked = &question[12..at + 5];
    let asks_ipv4 = question[at + 2] == 1;
    let found = zone.get(&labels.join("."));
    let (addresses, ttl) = found.cloned().unwrap_or_default();
    let addresses = if asks_ipv4 { addresses } else { Vec::new() };
    let code = if found.is_some() { 0 } else { 3 };
    let mut reply = question[..2].to_vec();
    reply.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        addresses.len() as u8,
        0,
        0,
        0,
        0,
    ]);
    reply.extend(asked);
    for address in addresses {
        reply.extend([0xc0, 12, 0, 1, 0, 1]);
        reply.extend(ttl.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(address.octets());
    }
    reply
}
