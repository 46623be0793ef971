//! Names, asked of a server that answers as it is told.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType, rdata::A},
};
use tokio::{net::UdpSocket, sync::mpsc};

use super::*;

/// What the server says: addresses of IPv4 and a time to live in seconds; `None`: nothing at all.
type Script = Arc<Mutex<Option<(Vec<u8>, u32)>>>;

async fn server(script: &Script) -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let script = Arc::clone(script);
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let said = script.lock().unwrap().clone();
            if let Some((last_bytes, ttl)) = said {
                let reply = reply(&buffer[..length], &last_bytes, ttl);
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    Resolver::asking(vec![([127, 0, 0, 1], port).into()])
}

fn reply(question: &[u8], last_bytes: &[u8], ttl: u32) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.response_code = ResponseCode::NoError;
    reply.add_query(query.clone());
    if query.query_type() == RecordType::A {
        for last in last_bytes {
            let data = RData::A(A(Ipv4Addr::new(10, 0, 0, *last)));
            reply.add_answer(Record::from_rdata(query.name().clone(), ttl, data));
        }
    }
    reply.to_vec().unwrap()
}

fn addresses(last_bytes: &[u8]) -> Vec<IpAddr> {
    let address = |last: &u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, *last));
    last_bytes.iter().map(address).collect()
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses_for_as_long_as_its_time_to_live() {
    for (ttl, good_for) in [(0, 1), (60, 60), (86_400, 300)] {
        let script = Script::new(Mutex::new(Some((vec![2, 1, 2], ttl))));
        let answer = server(&script).await.lookup("db.example.").await.unwrap();
        assert_eq!(answer.addresses, addresses(&[1, 2]));
        let least = Duration::from_secs(good_for - u64::from(good_for > 1));
        assert!(answer.good_for >= least && answer.good_for <= Duration::from_secs(good_for));
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_not_resolved_and_the_error_names_it() {
    let script = Script::new(Mutex::new(Some((Vec::new(), 60))));
    let error = server(&script)
        .await
        .lookup("db.example.")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot resolve db.example.: "),
        "{error}"
    );
}

#[tokio::test]
async fn what_changes_is_heard_and_what_was_found_last_holds_while_nobody_answers() {
    let script = Script::new(Mutex::new(Some((vec![1], 1))));
    let resolver = server(&script).await;
    let (tell, mut heard) = mpsc::channel(16);
    let following = follow(resolver, "db.example.".into(), move |finding| {
        let _ = tell.try_send(finding);
    });
    tokio::spawn(following);
    let first = heard.recv().await.unwrap();
    assert!(matches!(first, Finding::Addresses(found) if found == addresses(&[1])));
    *script.lock().unwrap() = Some((vec![1, 2], 1));
    let second = heard.recv().await.unwrap();
    assert!(matches!(second, Finding::Addresses(found) if found == addresses(&[1, 2])));
    *script.lock().unwrap() = Some((Vec::new(), 1));
    assert!(matches!(heard.recv().await.unwrap(), Finding::Lost(_)));
    *script.lock().unwrap() = Some((vec![2, 1], 1));
    assert!(matches!(heard.recv().await.unwrap(), Finding::Back));
}

#[test]
fn after_failures_it_is_asked_ever_less_often_up_to_a_bound() {
    let lengths: Vec<_> = (0..7).map(|failures| retry(failures).as_secs()).collect();
    assert_eq!(lengths, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(retry(u32::MAX), LAST_RETRY);
}
