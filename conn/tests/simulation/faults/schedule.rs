//! One schedule: the setup, the steps, and the end.

use std::time::{Duration, Instant};

use lacewing_conn::{
    Side, Version,
    proto::{Config, ExtendedConnect, HeaderCompression, ServerPush, ShutdownOrder},
};

use super::{
    node::Node,
    transport::{Fault, Pipe},
};
use crate::seeds::{Rng, tighten};

/// The largest number of turns of one schedule: far more than any needs.
const TURNS: usize = 300_000;

/// Longer than any wait.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) struct Schedule {
    rng: Rng,
    now: Instant,
    client: Node,
    server: Node,
    /// From the client to the server, and in the opposite direction.
    pipes: [Pipe; 2],
    steps: usize,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let version = rng.one_of(&Version::ALL);
        let now = Instant::now();
        let client = configure(version, Side::Client, &mut rng);
        let server = configure(version, Side::Server, &mut rng);
        let client = Node::new(client, now, rng.next());
        let server = Node::new(server, now, rng.next());
        let pipes = [Pipe::new(now, &mut rng), Pipe::new(now, &mut rng)];
        Self {
            steps: 5 + rng.below(40),
            rng,
            now,
            client,
            server,
            pipes,
        }
    }

    pub(super) fn run(mut self, verbose: bool) {
        (self.client.traced, self.server.traced) = (verbose, verbose);
        for _ in 0..self.steps {
            self.step();
        }
        self.client.settle(self.now);
        self.server.settle(self.now);
        match self.rng.below(6) {
            0 => self.client.engine.shutdown(self.now),
            1 => self.server.engine.shutdown(self.now),
            2 => self.pipes[0].closed = true,
            _ => {}
        }
        self.run_out();
        if verbose {
            println!("{}", self.describe());
        }
        self.client.assert_done(self.now);
        self.server.assert_done(self.now);
    }

    fn step(&mut self) {
        match self.rng.below(12) {
            0..=3 => self.client.open(self.now),
            4 => self.client.act(self.now),
            5 => self.server.act(self.now),
            6 | 7 => {
                self.turn();
            }
            8 => {
                let time = Duration::from_millis(1 << self.rng.below(16));
                let pipe = self.rng.below(2);
                self.pipes[pipe].delay(self.now, time);
            }
            9 => {
                let time = Duration::from_millis(1 << self.rng.below(15));
                self.sleep(self.now + time);
            }
            _ => {
                for _ in 0..self.rng.below(30) {
                    self.turn();
                }
            }
        }
    }

    /// A turn of each side; `true` if anything happened.
    fn turn(&mut self) -> bool {
        let now = self.now;
        let [there, back] = &mut self.pipes;
        let mut moved = turn(&mut self.client, now, back, there);
        moved |= turn(&mut self.server, now, there, back);
        moved
    }

    /// Takes turns until nothing happens.
    fn rest(&mut self) {
        for _ in 0..TURNS {
            if !self.turn() {
                return;
            }
        }
        panic!("the sides never become idle: {}", self.describe());
    }

    /// Advances time, with deadlines. Some deadlines are handled late.
    fn sleep(&mut self, end: Instant) {
        for _ in 0..TURNS {
            self.rest();
            let Some(due) = self.due().filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            let late = if self.rng.chance(10) { 300 } else { 0 };
            self.now = self.now.max(due) + Duration::from_millis(late);
        }
        panic!("the timers never end");
    }

    /// Advances time until no timer is left.
    fn run_out(&mut self) {
        let start = self.now;
        for _ in 0..TURNS {
            self.rest();
            match self.due() {
                Some(due) => self.now = self.now.max(due),
                None => return,
            }
            if self.now > start + FOREVER {
                break;
            }
        }
        panic!("the timers never run out: {}", self.describe());
    }

    fn describe(&mut self) -> String {
        let sides = [&mut self.client, &mut self.server].map(|node| node.describe(self.now));
        format!("{sides:#?} {:#?}", self.pipes)
    }

    /// The time of the next deadline or delivery.
    fn due(&mut self) -> Option<Instant> {
        let pipes = self.pipes.iter().filter_map(|pipe| pipe.due(self.now));
        [
            self.client.engine.poll_timeout(),
            self.server.engine.poll_timeout(),
            self.client.next_answer(),
            self.server.next_answer(),
        ]
        .into_iter()
        .flatten()
        .chain(pipes)
        .min()
    }
}

/// One turn of a side, like that of its driver.
fn turn(node: &mut Node, now: Instant, from: &mut Pipe, to: &mut Pipe) -> bool {
    let mut moved = node.answer_due(now);
    if node.engine.poll_timeout().is_some_and(|due| due <= now) {
        node.engine.handle_timeout(now);
        moved = true;
    }
    moved |= node.poll(now);
    moved |= node.read(now, from);
    moved |= node.write(now, to);
    if matches!(to.fault(), Some(Fault::End | Fault::Error)) {
        node.fail_writes(now);
    }
    moved |= node.poll(now);
    if node.is_over() && !to.closed {
        to.closed = true;
        moved = true;
    }
    moved
}

fn configure(version: Version, side: Side, rng: &mut Rng) -> Config {
    let mut config = Config::new(version, side);
    if rng.chance(50) {
        config.push = ServerPush::Accept;
    }
    if rng.chance(50) {
        config.extended_connect = ExtendedConnect::Offer;
    }
    if rng.chance(20) {
        config.shutdown_order = ShutdownOrder::DataFirst;
    }
    config.header_compression = match rng.below(4) {
        0 => HeaderCompression::Zlib(6),
        1 => HeaderCompression::WholeField,
        _ => HeaderCompression::Stored,
    };
    if rng.chance(40) {
        config.limits.idle_timeout = None;
    }
    for _ in 0..rng.one_of(&[0, 0, 1, 3, 30]) {
        tighten(&mut config.limits, rng);
    }
    config
}
