//! The client's users: each makes its request and reads its response as planned.

use std::{future::Future, sync::Arc};

use http::{Request, Response};
use lacewing_client::{Client, ClientError, Connection, Incoming, Pushed};
use tokio::time::{sleep, timeout};

use crate::{
    content::{self, Source},
    ledger::{Ended, World},
};

/// A handle of the client.
#[derive(Clone)]
pub(crate) enum Handle {
    Connection(Connection),
    Pool(Client),
}

pub(crate) async fn exchange(handle: Handle, number: u32, world: Arc<World>) {
    let _live = world.live();
    let plan = world.plan(number);
    sleep(plan.at).await;
    let mut request = Request::builder()
        .method(plan.method.clone())
        .uri(format!("http://test.example/{number}"));
    let mut source = Source::empty(world.live());
    if let Some(upload) = &plan.upload {
        let failed = &world.record(number).upload_failed;
        source = Source::new(number, upload.clone(), failed, world.live());
        if let Some(length) = upload.declared() {
            request = request.header("content-length", length);
        }
        if plan.expect_continue {
            request = request.header("expect", "100-continue");
        }
    }
    let request = request.body(source).unwrap();
    match handle {
        Handle::Connection(connection) => {
            let response = connection.request(request);
            drop(connection);
            finish(response, number, &world).await;
        }
        Handle::Pool(client) => {
            let response = client.request(request);
            drop(client);
            finish(response, number, &world).await;
        }
    }
}

/// Takes every push.
pub(crate) async fn pushed(pushed: Pushed, world: Arc<World>) {
    let _live = world.live();
    let (number, ..) = world.of(pushed.request.uri());
    finish(pushed.response, number, &world).await;
}

async fn finish(
    response: impl Future<Output = Result<Response<Incoming>, ClientError>>,
    number: u32,
    world: &World,
) {
    let plan = world.plan(number);
    let response = match plan.user.gives_up {
        Some(time) => timeout(time, response).await,
        None => Ok(response.await),
    };
    let ended = match response {
        Err(_) => Ended::GaveUp,
        Ok(Err(error)) => Ended::Failed(error),
        Ok(Ok(response)) => {
            let (head, body) = response.into_parts();
            let seen = if head.status == 200 {
                content::read(body, world.expected_number(number), plan.user.reading).await
            } else {
                // A page about an error has other bytes.
                content::Seen::Left { len: 0 }
            };
            Ended::Responded(head.status.as_u16(), seen)
        }
    };
    world.record(number).ended.lock().unwrap().push(ended);
}
