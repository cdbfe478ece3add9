//! Secrets that an attacker reads off the sizes of compressed header lists.

use std::time::Duration;

use crate::attack::case::Case;
use crate::attack::dialect::MULTIPLEXED;
use crate::attack::peer::Peer;
use crate::attack::play::Play;
use crate::attack::victim_program::SECRETS;

type Played = Result<Vec<Peer>, String>;

pub(super) const CASES: &[Case] =
    &[Case::bounded("secrets/crime", "S4", MULTIPLEXED, crime).beside("honest/small-requests")];

/// Bits beside a byte: the length in bytes shows each of them at one of these offsets.
const OFFSETS: usize = 8;

/// CRIME (CVE-2012-4929). A response has a secret cookie, and a field with a text of the
/// attacker's choice. Two connections have secrets of the same digits in another order. If the
/// guess is not all of a secret, both must send as many bytes.
fn crime(play: &mut Play<'_>) -> Played {
    let mut guessers = [Guesser::new(play, 0)?, Guesser::new(play, 1)?];
    let secret = SECRETS.first().copied().unwrap_or_default();
    let (name, digits) = secret.split_once('=').unwrap_or_default();
    let step = play.small_or(5, 1);
    let mut guesses = 0_u32;
    for known in (1..digits.len()).step_by(step) {
        let known = digits.get(..known).unwrap_or_default();
        for pad in 0..OFFSETS {
            let guess = format!("{name}={known}{}", "~".repeat(pad));
            let mut lengths = [0; 2];
            for (guesser, length) in guessers.iter_mut().zip(&mut lengths) {
                *length = guesser.measure(&guess)?;
            }
            let [right, wrong] = lengths;
            guesses += 1;
            if right != wrong {
                play.fail(format!(
                    "{guess}: {right} bytes if the guess is right, {wrong} if it is wrong"
                ));
                return Ok(guessers.map(|guesser| guesser.peer).into());
            }
        }
    }
    play.note(format!("{guesses} guesses"));
    Ok(guessers.map(|guesser| guesser.peer).into())
}

/// A connection whose responses have one of the secrets.
struct Guesser {
    peer: Peer,
    secret: usize,
}

impl Guesser {
    fn new(play: &Play<'_>, secret: usize) -> Result<Self, String> {
        let peer = play.connect()?;
        let mut guesser = Self { peer, secret };
        // The first responses fill the tables, and follow what opens a connection.
        for _ in 0..3 {
            guesser.measure("nothing")?;
        }
        Ok(guesser)
    }

    /// The bytes of a response that reflects the guess.
    fn measure(&mut self, guess: &str) -> Result<u64, String> {
        let before = self.peer.seen().received;
        let id = self.peer.get(&format!("/reflect/{}?{guess}", self.secret));
        self.peer.flush();
        let ended = |seen: &crate::attack::seen::Seen| seen.ended.contains(&id);
        if !self.peer.wait(Duration::from_secs(3), ended) {
            return Err(format!("no answer to the guess {guess}"));
        }
        Ok(self.peer.seen().received - before)
    }
}
