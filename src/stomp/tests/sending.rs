//! Sending, and what is known of it afterwards.
//! It must not depend on how long anything really takes.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_when_its_receipt_has_come() {
    let (client, _dialled, mut fake) = connected().await;
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(note("hi").header("a", "b:c")).await }
    });
    let sent = fake.expect("SEND").await;
    assert_eq!(sent.headers["a"], "b\\cc");
    assert_eq!(sent.body, "hi");
    assert!(
        timeout(14 * SECOND, fake.stream.read_u8()).await.is_ok(),
        "a heart-beat"
    );
    assert!(!sending.is_finished());
    fake.say("RECEIPT\nreceipt-id:99\n\n\0\n").await;
    fake.confirm(&sent).await;
    assert_eq!(sending.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_that_of_the_message_that_it_names_and_of_no_other() {
    let (client, _dialled, mut fake) = connected().await;
    let one = client.begin(note("1")).await.unwrap();
    let other = client.begin(note("2")).await.unwrap();
    let (first, second) = (fake.expect("SEND").await, fake.expect("SEND").await);
    let receipt = &first.headers["receipt"];
    fake.say(&format!(
        "ERROR\nreceipt-id:{receipt}\nmessage:not yours\\c no\n\n\0"
    ))
    .await;
    fake.confirm(&second).await;
    assert_eq!(
        one.confirmed().await,
        Err(Error::Refused("not yours: no".to_owned()))
    );
    assert_eq!(other.confirmed().await, Ok(()));
    let unsayable = client.send(Send::new("/queue/\0")).await;
    assert!(matches!(unsayable, Err(Error::Unsayable(_))));
    assert!(matches!(
        &*client.link().borrow(),
        Link::Up { session: 1, .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_does_not_come_is_an_error_and_ends_the_connection() {
    let (client, mut dialled, mut fake) = connected().await;
    let began = Instant::now();
    let sending = client.begin(note("hi")).await.unwrap();
    let sending = tokio::spawn(sending.confirmed());
    // It is not dead: it just does not confirm.
    while !sending.is_finished() {
        fake.say("\n").await;
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(sending.await.unwrap(), Err(Error::Lost));
    assert!(began.elapsed() <= 16 * SECOND && began.elapsed() >= 15 * SECOND);
    assert_eq!(down(&client), "stomp://one:61613: no receipt within 15s");
    let mut next = dialled.recv().await.unwrap();
    assert_eq!(next.broker.host, "two");
    next.greet().await;
    client.up(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_reads_nothing_is_still_listened_to() {
    let (client, mut dialled) = client_with(options(), 512);
    let mut fake = dialled.recv().await.unwrap();
    fake.greet().await;
    client.up(SECOND).await.unwrap();
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 1))
        .await
        .unwrap();
    fake.expect("SUBSCRIBE").await;
    let flood = tokio::spawn({
        let client = client.clone();
        async move {
            for _ in 0..1000 {
                client.begin(note(&"x".repeat(100))).await.unwrap();
            }
        }
    });
    tokio::time::sleep(SECOND).await;
    assert!(!flood.is_finished(), "what waits to be written is bounded");
    fake.message("1", "1", "hi").await;
    assert_eq!(
        delivery(subscription.next().await).body,
        Body::Whole(b"hi".to_vec())
    );
    // And given up when no receipt comes.
    client
        .link()
        .wait_for(|link| matches!(link, Link::Down(_)))
        .await
        .unwrap();
    flood.await.unwrap();
}
