//! Lists in pages, each of which fits into a message.

use coral_model::SessionInfo;
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Code, Status};

use super::status;

/// A message has room for what stands around the list.
const PAGE_BYTES: usize = MESSAGE_BYTES_MAX / 4 * 3;
/// What an item needs beside itself: its field's tag and its length.
const ITEM_BYTES: usize = 8;

/// A part of a list.
#[derive(Debug, PartialEq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Names the next page; empty where this is the last one.
    pub(crate) next: String,
}

/// The page of a list that a token names, in the order of the items' keys, of which no two are the
/// same. What comes and goes between two pages moves nothing else.
///
/// # Errors
/// If the token is none.
pub(crate) fn page<K: Ord + Serialize + DeserializeOwned, T: Message>(
    items: impl IntoIterator<Item = (K, T)>,
    token: &str,
) -> Result<Page<T>, Status> {
    let after: Option<K> = match token {
        "" => None,
        token => Some(serde_json::from_str(token).map_err(|_| no_token())?),
    };
    let mut rest: Vec<(K, T)> = items
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .collect();
    rest.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut bytes = 0;
    let fits = |(_, item): &&(K, T)| {
        bytes += ITEM_BYTES + item.encoded_len();
        bytes <= PAGE_BYTES
    };
    // One that is too long by itself is sent all the same: it says so.
    let len = rest.iter().take_while(fits).count().max(1);
    let next = match rest.len() > len {
        true => serde_json::to_string(&rest[len - 1].0).map_err(|_| no_token())?,
        false => String::new(),
    };
    rest.truncate(len);
    Ok(Page {
        items: rest.into_iter().map(|(_, item)| item).collect(),
        next,
    })
}

/// The same of services, of which one may have more processes than a page holds: it is in several
/// pages then.
///
/// # Errors
/// If the token is none.
pub(crate) fn services(
    services: Vec<wire::Service>,
    token: &str,
) -> Result<Page<wire::Service>, Status> {
    let keyed = services.into_iter().flat_map(parts).map(|part| {
        let process = part.processes.first();
        let process = process.map(|it| (it.agent_id.clone(), it.pid, it.start_ticks));
        ((part.name.clone(), process), part)
    });
    let page = page(keyed, token)?;
    let mut items: Vec<wire::Service> = Vec::new();
    for part in page.items {
        match items.last_mut().filter(|last| last.name == part.name) {
            Some(last) => last.processes.extend(part.processes),
            None => items.push(part),
        }
    }
    Ok(Page {
        items,
        next: page.next,
    })
}

/// The same of sessions, oldest first.
///
/// # Errors
/// If the token is none.
pub(crate) fn sessions(
    sessions: impl IntoIterator<Item = SessionInfo>,
    token: &str,
) -> Result<Page<wire::SessionInfo>, Status> {
    let keyed = sessions.into_iter().map(|session| {
        let key = (session.started_at, session.id.0.clone());
        (key, wire::SessionInfo::from(&session))
    });
    page(keyed, token)
}

/// A service for each of its processes; one without any where there is none.
fn parts(mut service: wire::Service) -> Vec<wire::Service> {
    let processes = std::mem::take(&mut service.processes);
    if processes.is_empty() {
        return vec![service];
    }
    let part = |process| wire::Service {
        processes: vec![process],
        ..service.clone()
    };
    processes.into_iter().map(part).collect()
}

fn no_token() -> Status {
    let message = "the page token is none of this list";
    let help = "begin with the first page";
    status::with(Code::InvalidArgument, "usage", message, help)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(name: &str, processes: impl IntoIterator<Item = u32>) -> wire::Service {
        let process = |pid| wire::Process {
            pid,
            command: "x".repeat(400),
            ..wire::Process::default()
        };
        wire::Service {
            name: name.to_owned(),
            processes: processes.into_iter().map(process).collect(),
            ..wire::Service::default()
        }
    }

    /// All pages of a list, each of which fits into a message.
    fn all(list: &[wire::Service]) -> Vec<Vec<wire::Service>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = services(list.to_vec(), &token).unwrap();
            let services = page.items.clone();
            let next_page_token = page.next.clone();
            let message = wire::ListServicesResponse {
                services,
                next_page_token,
            };
            assert!(message.encoded_len() <= MESSAGE_BYTES_MAX);
            pages.push(page.items);
            token = page.next;
            if token.is_empty() {
                return pages;
            }
        }
    }

    #[test]
    fn a_service_that_no_page_holds_is_in_several() {
        let list = [
            service("empty", []),
            service("large", 0..5_000),
            service("small", [7, 3]),
        ];
        let pages = all(&list);
        assert_eq!(pages.len(), 3);
        let of = |name: &str| -> Vec<u32> {
            let services = pages.iter().flatten().filter(|it| it.name == name);
            services
                .flat_map(|it| it.processes.iter().map(|process| process.pid))
                .collect()
        };
        assert_eq!(of("large"), (0..5_000).collect::<Vec<_>>());
        assert_eq!(of("small"), [3, 7]);
        assert_eq!(pages[0][0], list[0]);
    }

    #[test]
    fn what_goes_between_two_pages_takes_nothing_else_along() {
        let first = services(vec![service("large", 0..5_000)], "").unwrap();
        let seen = first.items[0].processes.len() as u32;
        // The last one of the first page has ended meanwhile, and one before it has come.
        let rest = (0..seen - 1).chain(seen..5_000);
        let second = services(vec![service("large", rest)], &first.next).unwrap();
        assert_eq!(second.items[0].processes[0].pid, seen);
    }

    #[test]
    fn a_list_that_is_empty_has_one_page() {
        assert_eq!(all(&[]), [Vec::new()]);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for token in ["x", "7", "[\"large\"]", "{}"] {
            let refused = services(vec![service("large", [1])], token).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{token}");
        }
    }

    proptest! {
        #[test]
        fn pages_hold_each_item_once_and_in_order(
            sizes in prop::collection::vec(0_usize..400_000, 0..20),
        ) {
            let item = |(pid, size): (u32, &usize)| wire::Process {
                pid,
                command: "x".repeat(*size),
                ..wire::Process::default()
            };
            let items: Vec<_> = (0..).zip(&sizes).map(item).collect();
            let (mut found, mut token) = (Vec::new(), String::new());
            loop {
                let reversed = items.iter().rev().map(|it| (it.pid, it.clone()));
                let page = page(reversed, &token).unwrap();
                let bytes: usize = page.items.iter().map(Message::encoded_len).sum();
                prop_assert!(bytes <= PAGE_BYTES);
                found.extend(page.items);
                token = page.next;
                if token.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, items);
        }
    }
}
