//! Finds out the abilities of a SPDY server, with three requests on one connection.

use lacewing_frames::spdy::SettingId;
use lacewing_frames::{Side, Version};

use crate::{
    conditions::Conditions,
    link::Transport,
    player::{MOST, Player},
    script::Script,
    target::Target,
};

use super::{
    dialect::Dialect,
    frame::{data, settings, syn_stream, window_update},
    protocol::{Setup, Spdy, setting},
};

pub(crate) async fn probe(
    target: &mut Target,
    io: Box<dyn Transport + '_>,
    conditions: &Conditions,
) -> Vec<String> {
    let version = target.version;
    let script: Script<Spdy> = Script {
        version,
        setup: Setup::default(),
        steps: Vec::new(),
    };
    let mut player = Player::new(&script, io, Side::Server, *conditions);
    let dialect = Dialect {
        version,
        target: target.clone(),
    };
    player
        .send(&[settings(&[(0, SettingId::INITIAL_WINDOW_SIZE, MOST)])])
        .await;
    if version == Version::Spdy31 {
        player.send(&[window_update(0, 3 * MOST)]).await;
    }
    player
        .send(&[
            syn_stream(1, &dialect.get()).fin(),
            syn_stream(3, &dialect.get_large()).fin(),
            syn_stream(5, &dialect.post().and("content-length", "5")),
            data(5, b"hello").fin(),
        ])
        .await;
    player.show(target).await;
    let settings = |id| setting(&player.record, id);
    let abilities = &mut target.abilities;
    abilities.max_concurrent_streams = settings(SettingId::MAX_CONCURRENT_STREAMS);
    abilities.initial_window_size = settings(SettingId::INITIAL_WINDOW_SIZE).unwrap_or(65_536);
    player.transcript.into_lines()
}
