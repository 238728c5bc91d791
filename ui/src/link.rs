//! Whether the agent that the numbers come from answers.

use std::time::Duration;

use crate::event::{Failure, Link};

/// What is known of the way to an agent.
#[derive(Debug, Default)]
pub(crate) struct LinkState {
    now: Way,
    /// When it was found to be down the last time.
    down_since: Option<Duration>,
    /// What was told of that: the same reason is told once.
    told: Option<Failure>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    /// There is no agent, or it has not answered yet.
    #[default]
    New,
    Up,
    Down {
        since: Duration,
        retry_at: Duration,
    },
}

/// What has changed, for the person at the keyboard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkNews {
    /// It went down, or the reason for that is another one by now.
    Down(Failure),
    /// It is back after that time.
    Back(Duration),
}

impl LinkState {
    /// Takes what the source says; returns what is worth telling.
    pub(crate) fn take(&mut self, link: Link, now: Duration) -> Option<LinkNews> {
        match (link, self.now) {
            (Link::Up, Way::Down { since, .. }) => {
                self.now = Way::Up;
                self.told = None;
                Some(LinkNews::Back(now.saturating_sub(since)))
            }
            (Link::Up, _) => {
                self.now = Way::Up;
                None
            }
            (Link::Down { failure, retry_in }, before) => {
                let since = match before {
                    Way::Down { since, .. } => since,
                    Way::New | Way::Up => now,
                };
                let retry_at = now + retry_in;
                self.now = Way::Down { since, retry_at };
                self.down_since = Some(since);
                let is_news = self.told.as_ref() != Some(&failure);
                self.told = Some(failure.clone());
                is_news.then_some(LinkNews::Down(failure))
            }
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.now == Way::Up
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.now, Way::Down { .. })
    }

    /// Whether it was down at any time from then on.
    pub(crate) fn was_down_since(&self, then: Duration) -> bool {
        self.is_down() || self.down_since.is_some_and(|since| since >= then)
    }

    /// How it is, unless it is as it should be.
    pub(crate) fn words(&self, now: Duration) -> Option<String> {
        match self.now {
            Way::Up => None,
            Way::New => Some("connecting".into()),
            Way::Down { since, retry_at } => {
                let down_s = now.saturating_sub(since).as_secs();
                let next = match retry_at.saturating_sub(now) {
                    Duration::ZERO => "trying now".to_owned(),
                    left => format!("next try in {} s", left.as_millis().div_ceil(1_000)),
                };
                Some(format!("disconnected for {down_s} s, {next}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(code: &str) -> Link {
        Link::Down {
            failure: Failure {
                code: code.into(),
                message: String::new(),
                help: String::new(),
            },
            retry_in: Duration::from_millis(1_500),
        }
    }

    #[test]
    fn it_is_told_when_it_goes_and_when_it_comes_back() {
        let s = Duration::from_secs;
        let mut link = LinkState::default();
        assert_eq!(link.words(s(0)).as_deref(), Some("connecting"));
        assert_eq!(link.take(Link::Up, s(1)), None);
        assert_eq!(link.words(s(2)), None);
        assert!(matches!(
            link.take(down("a"), s(3)),
            Some(LinkNews::Down(_))
        ));
        let words = |link: &LinkState, at| link.words(at).unwrap();
        assert_eq!(words(&link, s(3)), "disconnected for 0 s, next try in 2 s");
        assert_eq!(words(&link, s(5)), "disconnected for 2 s, trying now");
        assert_eq!(link.take(down("a"), s(6)), None, "it was told");
        assert!(matches!(
            link.take(down("b"), s(7)),
            Some(LinkNews::Down(_))
        ));
        assert_eq!(link.take(Link::Up, s(9)), Some(LinkNews::Back(s(6))));
        assert!(link.was_down_since(s(2)) && !link.was_down_since(s(4)));
    }
}
