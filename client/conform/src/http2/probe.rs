//! Finds out the abilities of an HTTP/2 server, with three requests on one
//! connection.

use lacewing_frames::http2::{SettingId, flags};
use lacewing_frames::{Side, Version};

use crate::{
    conditions::Conditions,
    link::Transport,
    player::{MOST, Player},
    script::Script,
    target::Target,
};

use super::{
    block::{get, get_large, post},
    frame::{data, headers, window_update},
    protocol::{Http2, Start, setting},
};

pub(crate) async fn probe(
    target: &mut Target,
    io: Box<dyn Transport + '_>,
    conditions: &Conditions,
) -> Vec<String> {
    let script: Script<Http2> = Script {
        version: Version::Http2,
        setup: Start::Handshake(vec![(SettingId::INITIAL_WINDOW_SIZE, MOST)]),
        steps: Vec::new(),
    };
    let mut player = Player::new(&script, io, Side::Server, *conditions);
    if player.script(&script).await.is_err() {
        return player.transcript.into_lines();
    }
    let settings = |id| setting(&player.record, id);
    let abilities = &mut target.abilities;
    abilities.extended_connect = settings(SettingId::ENABLE_CONNECT_PROTOCOL) == Some(1);
    abilities.max_concurrent_streams = settings(SettingId::MAX_CONCURRENT_STREAMS);
    abilities.max_frame_size = settings(SettingId::MAX_FRAME_SIZE).unwrap_or(16_384);
    abilities.initial_window_size = settings(SettingId::INITIAL_WINDOW_SIZE).unwrap_or(65_535);
    abilities.header_table_size = settings(SettingId::HEADER_TABLE_SIZE).unwrap_or(4_096);

    player.send(&[window_update(0, 3 * MOST)]).await;
    player
        .send(&[
            headers(1, &get(target)).with(flags::END_STREAM),
            headers(3, &get_large(target)).with(flags::END_STREAM),
            headers(5, &post(target)),
            data(5, b"hello").with(flags::END_STREAM),
        ])
        .await;
    player.show(target).await;
    player.transcript.into_lines()
}
