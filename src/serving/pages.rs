//! Lists in pages, each of which fits into a message.

use std::collections::BTreeMap;

use coral_model::SessionInfo;
use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use coral_proto::convert::{ITEM_BYTES, joined_services};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Code, Status};

use super::status;

/// A message has room for what stands around the list.
pub(super) const PAGE_BYTES: usize = MESSAGE_BYTES_MAX / 4 * 3;

/// A part of a list.
#[derive(Debug, PartialEq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Names the next page; empty where this is the last one.
    pub(crate) next: String,
}

/// The page of a list that a token names. The items come in the order of their keys, of which no two
/// are the same, and none is made that stands behind the page but one. What comes and goes between
/// two pages moves nothing else.
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
    let is_before = |(key, _): &(K, T)| after.as_ref().is_some_and(|after| key <= after);
    let mut rest = items.into_iter().skip_while(is_before).peekable();
    let (mut items, mut last, mut bytes) = (Vec::new(), None, 0);
    // One that is too long by itself is sent all the same: it says so.
    while let Some((key, item)) = rest.next_if(|(_, item)| {
        bytes += ITEM_BYTES + item.encoded_len();
        bytes <= PAGE_BYTES || last.is_none()
    }) {
        items.push(item);
        last = Some(key);
    }
    let next = match (rest.peek(), last) {
        (Some(_), Some(last)) => serde_json::to_string(&last).map_err(|_| no_token())?,
        _ => String::new(),
    };
    Ok(Page { items, next })
}

/// The same of services, of which one may have more processes than a page holds: it is in several
/// pages then.
///
/// # Errors
/// If the token is none.
pub(crate) fn services(
    mut services: Vec<wire::Service>,
    token: &str,
) -> Result<Page<wire::Service>, Status> {
    services.sort_by(|a, b| a.name.cmp(&b.name));
    let keyed = services.into_iter().flat_map(parts).map(|part| {
        let process = part.processes.first();
        let process = process.map(|it| (it.agent_id.clone(), it.pid, it.start_ticks));
        ((part.name.clone(), process), part)
    });
    let page = page(keyed, token)?;
    Ok(Page {
        items: joined_services(page.items),
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
        (key, session)
    });
    let sorted = BTreeMap::from_iter(keyed).into_iter();
    page(
        sorted.map(|(key, session)| (key, wire::SessionInfo::from(&session))),
        token,
    )
}

/// A service for each of its processes, in their order; one without any where there is none.
fn parts(mut service: wire::Service) -> impl Iterator<Item = wire::Service> {
    let mut processes = std::mem::take(&mut service.processes);
    let key = |it: &wire::Process| (it.agent_id.clone(), it.pid, it.start_ticks);
    processes.sort_by_cached_key(key);
    let none = processes.is_empty().then(|| service.clone());
    let parts = processes.into_iter().map(move |process| wire::Service {
        processes: vec![process],
        ..service.clone()
    });
    none.into_iter().chain(parts)
}

/// The refusal of a token that names no page.
pub(super) fn no_token() -> Status {
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
        let first = services(vec![service("large", 1..5_000)], "").unwrap();
        let last = first.items[0].processes.last().unwrap().pid;
        // The last one of the first page has ended meanwhile, and one before it has come.
        let rest = (0..last).chain(last + 1..5_000);
        let second = services(vec![service("large", rest)], &first.next).unwrap();
        assert_eq!(second.items[0].processes[0].pid, last + 1);
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
                let keyed = items.iter().map(|it| (it.pid, it.clone()));
                let page = page(keyed, &token).unwrap();
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
