//! Subscribing, taking messages, acknowledging them.
//! It must not depend on how long anything really takes.

use super::*;

#[tokio::test(start_paused = true)]
async fn it_subscribes_before_it_sends_on_every_connection() {
    let (client, mut dialled) = client();
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Individually, 2))
        .await
        .unwrap();
    for round in 0..3 {
        let mut fake = dialled.recv().await.unwrap();
        fake.greet().await;
        let sent = fake.expect("SUBSCRIBE").await;
        assert_eq!(sent.headers["destination"], "/queue/a");
        assert_eq!(sent.headers["ack"], "client-individual");
        assert_eq!(sent.headers["selector"], "a = 'b\\cc'");
        // The broker may send before it confirms.
        fake.message("1", "7", "early").await;
        assert!(client.up(SECOND).await.is_err());
        fake.confirm(&sent).await;
        client.up(SECOND).await.unwrap();
        assert_eq!(
            delivery(subscription.next().await).body,
            Body::Whole(b"early".to_vec())
        );
        assert_eq!(subscription.next().await, Some(Incoming::Ready), "{round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_says_so_and_holds_nothing_up() {
    let (client, mut dialled) = client();
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 2))
        .await
        .unwrap();
    let mut fake = dialled.recv().await.unwrap();
    fake.greet().await;
    let receipt = fake.expect("SUBSCRIBE").await.headers["receipt"].clone();
    fake.say(&format!(
        "ERROR\nreceipt-id:{receipt}\nmessage:not authorized\n\n\0"
    ))
    .await;
    client.up(SECOND).await.unwrap();
    let refused = Incoming::Refused("not authorized".to_owned());
    assert_eq!(subscription.next().await, Some(refused));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_sender_gave_it_a_receipt_id_is_no_receipt() {
    let (client, mut dialled) = client();
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Individually, 9))
        .await
        .unwrap();
    let mut fake = dialled.recv().await.unwrap();
    fake.greet().await;
    let sent = fake.expect("SUBSCRIBE").await;
    let forged = "MESSAGE\nsubscription:1\nreceipt-id:1\n\n\0MESSAGE\nreceipt-id:2\n\n\0";
    fake.say(forged).await;
    delivery(subscription.next().await);
    fake.confirm(&sent).await;
    client.up(SECOND).await.unwrap();
    assert_eq!(subscription.next().await, Some(Incoming::Ready));
    let sending = client.begin(note("hi")).await.unwrap();
    let sent = fake.expect("SEND").await;
    fake.say(forged).await;
    delivery(subscription.next().await);
    fake.confirm(&sent).await;
    assert_eq!(sending.confirmed().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_where_it_came_from_or_not_at_all() {
    let (client, mut dialled, mut fake) = connected().await;
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Individually, 9))
        .await
        .unwrap();
    let sent = fake.expect("SUBSCRIBE").await;
    fake.confirm(&sent).await;
    assert_eq!(subscription.next().await, Some(Incoming::Ready));
    fake.message("1", "ID\\c1", "a").await;
    fake.message("1", "2", &"x".repeat(17)).await;
    let first = delivery(subscription.next().await);
    let second = delivery(subscription.next().await);
    assert_eq!(second.body, Body::TooLong(17));
    let acking = tokio::spawn({
        let (client, first) = (client.clone(), first.clone());
        async move { client.ack(&first).await }
    });
    let ack = fake.expect("ACK").await;
    assert_eq!(ack.headers["id"], "ID\\c1");
    fake.confirm(&ack).await;
    assert_eq!(acking.await.unwrap(), Ok(()));
    drop(fake);
    let mut fake = dialled.recv().await.unwrap();
    assert_eq!(client.ack(&second).await, Err(Error::Stale));
    fake.greet().await;
    let sent = fake.expect("SUBSCRIBE").await;
    fake.confirm(&sent).await;
    client.up(SECOND).await.unwrap();
    assert_eq!(client.nack(&second).await, Err(Error::Stale));
}

#[tokio::test(start_paused = true)]
async fn who_takes_messages_too_slowly_has_a_gap_and_is_told() {
    let (client, _dialled, mut fake) = connected().await;
    let mut subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 1))
        .await
        .unwrap();
    fake.expect("SUBSCRIBE").await;
    for number in 0..20 {
        fake.message("1", "1", &number.to_string()).await;
    }
    tokio::time::sleep(SECOND).await;
    let mut taken = 0;
    while let Ok(Some(Incoming::Message(_))) = timeout(SECOND, subscription.next()).await {
        taken += 1;
    }
    fake.message("1", "1", "last").await;
    assert_eq!(
        subscription.next().await,
        Some(Incoming::Missed(20 - taken))
    );
    assert_eq!(
        delivery(subscription.next().await).body,
        Body::Whole(b"last".to_vec())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_acknowledged_one_by_one_is_never_left_out() {
    let (client, _dialled, mut fake) = connected().await;
    let _subscription = client
        .subscribe(subscribe(Acknowledge::Individually, 1))
        .await
        .unwrap();
    let sent = fake.expect("SUBSCRIBE").await;
    fake.confirm(&sent).await;
    for number in 0..20 {
        fake.message("1", &number.to_string(), "x").await;
    }
    client
        .link()
        .wait_for(|link| matches!(link, Link::Down(_)))
        .await
        .unwrap();
    assert!(
        down(&client).contains("more unacknowledged messages"),
        "{}",
        down(&client)
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_subscription_is_unsubscribed_and_a_dropped_client_says_goodbye() {
    let (client, mut dialled, mut fake) = connected().await;
    let subscription = client
        .subscribe(subscribe(Acknowledge::Auto, 1))
        .await
        .unwrap();
    let sent = fake.expect("SUBSCRIBE").await;
    drop(subscription);
    assert_eq!(
        fake.expect("UNSUBSCRIBE").await.headers["id"],
        sent.headers["id"]
    );
    let sending = client.begin(note("last")).await.unwrap();
    drop(client);
    let sent = fake.expect("SEND").await;
    let farewell = fake.expect("DISCONNECT").await;
    fake.confirm(&sent).await;
    fake.confirm(&farewell).await;
    assert_eq!(sending.confirmed().await, Ok(()));
    assert!(fake.heard().await.is_none());
    assert!(dialled.recv().await.is_none());
}
