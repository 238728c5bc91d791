//! Arguments and results of single calls: what the kernel is to read, and what was read as text.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use coral_ebpf_common::{
    CapturedValues, DetailRecord, Filter, FunctionDetail, FutureSpec, VALUES_MAX, ValueKind,
    ValueSpec,
};
use coral_model::filter::Expression;
use coral_model::{CallValue, Capture, FunctionId, Redaction};

use super::planned::Planned;
use super::request::{AttachRequest, TraceRule};
use super::traces::path_filter;
use super::watched::Watched;
use crate::probe::{FilterArgument, ValueClass, compile_filter};
use crate::symbols::signature::{
    GoTypeNames, Interface, Shape, Signature, SignatureReader, TypeNames, Variable, go_http_path,
};

/// What the calls of a session's functions receive and return.
pub(super) struct Values {
    capture: Capture,
    filter: Option<Expression>,
    redaction: Redaction,
    trace: Option<TraceRule>,
    /// By slot.
    signatures: HashMap<u32, Signature>,
    /// Why the filter does not fit, by slot: none of these calls makes a record.
    misfits: HashMap<u32, String>,
    type_names: Box<dyn TypeNames + Send>,
}

/// What is read of a function's calls.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) detail: FunctionDetail,
    pub(super) filter: Option<Filter>,
    /// None where what is read is no argument of the function's own.
    signature: Option<Signature>,
    /// Why the session's filter does not fit.
    misfit: Option<String>,
}

/// Another filter of the calls of the function in a slot.
pub(super) struct FilterChange {
    pub(super) slot: u32,
    pub(super) filter: Option<Filter>,
    /// How many arguments are read from now on.
    pub(super) arguments_len: u32,
}

impl Reading {
    /// Whether anything is read at all.
    pub(super) fn is_needed(&self) -> bool {
        let detail = &self.detail;
        self.filter.is_some()
            || detail.arguments_len + detail.results_len > 0
            || detail.error.kind != 0
            || detail.future.enabled != 0
    }
}

impl Values {
    pub(super) fn new(request: &AttachRequest, watched: &Watched) -> Self {
        Self {
            capture: request.settings.capture,
            filter: request.settings.filter.clone(),
            redaction: request.redaction.clone(),
            trace: request.trace.clone(),
            signatures: HashMap::new(),
            misfits: HashMap::new(),
            type_names: type_names(watched),
        }
    }

    /// What is to be read of a function's calls.
    ///
    /// # Errors
    /// If the trace's path cannot be compared: why, as a phrase.
    pub(super) fn reading(
        &self,
        reader: &mut SignatureReader<'_>,
        function: &Planned,
    ) -> Result<Reading, String> {
        if let Some(trace) = &self.trace
            && let Some(path) = &trace.path
            && trace.root == function.id
        {
            return Ok(Reading {
                detail: arguments(&[go_http_path()]),
                filter: Some(path_filter(path)?),
                signature: None,
                misfit: None,
            });
        }
        let signature = reader.read(function.id, &function.plan);
        let mut detail = arguments(&specs(&signature.arguments));
        // How they are read stays there for a filter that may come.
        detail.arguments_len = read_len(&signature.arguments, self.capture, self.filter.as_ref());
        if self.capture.results {
            let specs = specs(&signature.results);
            detail.results_len = specs.len() as u32;
            detail.results[..specs.len()].copy_from_slice(&specs);
        }
        // Where a call may end in another function, that one's outcome is not seen.
        if function.plan.tail_calls == 0 {
            detail.error = signature.error.unwrap_or_default();
        }
        if let Some(future) = &signature.future {
            detail.future = FutureSpec {
                register: future.register,
                ..future.spec
            };
        }
        let (filter, misfit) = fitted(self.filter.as_ref(), &signature.arguments);
        Ok(Reading {
            detail,
            filter,
            signature: Some(signature),
            misfit,
        })
    }

    /// Remembers what is read of the calls of the function in a slot.
    pub(super) fn keep(&mut self, slot: u32, reading: Reading) {
        self.signatures
            .extend(reading.signature.map(|it| (slot, it)));
        match reading.misfit {
            Some(misfit) => self.misfits.insert(slot, misfit),
            None => self.misfits.remove(&slot),
        };
    }

    /// Another filter from now on: what changes in every slot.
    ///
    /// # Errors
    /// If it fits none of the functions: why, as a phrase.
    pub(super) fn change_filter(
        &mut self,
        filter: Option<Expression>,
    ) -> Result<Vec<FilterChange>, String> {
        let mut misfits = HashMap::new();
        let mut changes = Vec::new();
        for (&slot, signature) in &self.signatures {
            let arguments = &signature.arguments;
            let (compiled, misfit) = fitted(filter.as_ref(), arguments);
            misfits.extend(misfit.map(|misfit| (slot, misfit)));
            changes.push(FilterChange {
                slot,
                filter: compiled,
                arguments_len: read_len(arguments, self.capture, filter.as_ref()),
            });
        }
        if let Some(reason) = common_misfit(&misfits, self.signatures.len()) {
            return Err(reason.to_owned());
        }
        self.filter = filter;
        self.misfits = misfits;
        Ok(changes)
    }

    /// Why the filter fits none of the functions, if that is so.
    pub(super) fn misfit(&self) -> Option<&str> {
        common_misfit(&self.misfits, self.signatures.len())
    }

    /// Of how many functions no call makes a record, because the filter does not fit.
    pub(super) fn misfits(&self) -> usize {
        self.misfits.len()
    }

    /// What a call received and returned, redacted.
    pub(super) fn of_call(
        &self,
        slot: u32,
        detail: &DetailRecord,
    ) -> (Vec<CallValue>, Vec<CallValue>) {
        let Some(signature) = self.signatures.get(&slot) else {
            return (Vec::new(), Vec::new());
        };
        let of = |is_wanted: bool, variables: &[Variable], captured: &CapturedValues| {
            // Where nothing can be read, each of them says why; where something can and was not,
            // there was no room for it.
            let is_readable = variables.iter().any(|variable| variable.read.is_ok());
            if is_wanted && (captured.len > 0 || !is_readable) {
                self.texts(variables, captured)
            } else {
                Vec::new()
            }
        };
        (
            of(
                self.capture.arguments,
                &signature.arguments,
                &detail.arguments,
            ),
            of(self.capture.results, &signature.results, &detail.results),
        )
    }

    fn texts(&self, variables: &[Variable], captured: &CapturedValues) -> Vec<CallValue> {
        let mut values = captured.values.iter().take(captured.len as usize);
        variables
            .iter()
            .map(|variable| {
                let text = match &variable.read {
                    Ok(_) => match values.next() {
                        Some(value) => variable.render(value, &*self.type_names),
                        None => "<not captured>".to_owned(),
                    },
                    Err(unreadable) => unreadable.to_string(),
                };
                let value = self
                    .redaction
                    .apply(&variable.name, &variable.type_name, &text)
                    .into_owned();
                CallValue {
                    name: variable.name.clone(),
                    type_name: variable.type_name.clone(),
                    value,
                }
            })
            .collect()
    }
}

/// How many arguments are read. Where there is a filter, at least one, even if none is readable:
/// the kernel holds a filter only against what was read, and nothing passes it then.
fn read_len(variables: &[Variable], capture: Capture, filter: Option<&Expression>) -> u32 {
    let readable = specs(variables).len() as u32;
    match (capture.arguments, filter) {
        (_, Some(_)) => readable.max(1),
        (true, None) => readable,
        (false, None) => 0,
    }
}

/// How the first readable variables are read.
fn specs(variables: &[Variable]) -> Vec<ValueSpec> {
    let readable = variables.iter().filter_map(|variable| variable.read.ok());
    readable.take(VALUES_MAX).collect()
}

fn arguments(specs: &[ValueSpec]) -> FunctionDetail {
    let mut detail = FunctionDetail {
        arguments_len: specs.len() as u32,
        ..FunctionDetail::default()
    };
    detail.arguments[..specs.len()].copy_from_slice(specs);
    detail
}

fn common_misfit(misfits: &HashMap<u32, String>, functions: usize) -> Option<&str> {
    let lets_none_pass = functions > 0 && misfits.len() == functions;
    let first = misfits.iter().min_by_key(|(slot, _)| **slot);
    first
        .filter(|_| lets_none_pass)
        .map(|(_, reason)| reason.as_str())
}

/// A filter for these arguments; one that lets nothing pass, and why, where it does not fit them.
fn fitted(filter: Option<&Expression>, variables: &[Variable]) -> (Option<Filter>, Option<String>) {
    match filter.map(|filter| compiled(filter, variables)) {
        None => (None, None),
        Some(Ok(filter)) => (Some(filter), None),
        Some(Err(misfit)) => (Some(nothing()), Some(misfit)),
    }
}

/// Whatever its predicate says, its truth table says no.
fn nothing() -> Filter {
    Filter {
        len: 1,
        ..Filter::default()
    }
}

fn compiled(filter: &Expression, variables: &[Variable]) -> Result<Filter, String> {
    let readable = variables
        .iter()
        .filter_map(|variable| Some((variable, variable.read.ok()?)));
    let arguments: Vec<FilterArgument> = readable
        .take(VALUES_MAX)
        .enumerate()
        .filter_map(|(index, (variable, spec))| {
            Some(FilterArgument {
                name: variable.name.clone(),
                class: class(variable, &spec)?,
                index: index as u8,
            })
        })
        .collect();
    compile_filter(filter, &arguments).map_err(|error| error.to_string())
}

/// What a variable is compared as; `None` where it cannot be compared.
fn class(variable: &Variable, spec: &ValueSpec) -> Option<ValueClass> {
    let size = spec.len as u8;
    Some(match variable.shape {
        Shape::Signed => ValueClass::Signed(size),
        Shape::Unsigned
        | Shape::Character
        | Shape::Raw
        | Shape::Enumeration { .. }
        | Shape::Variant { .. } => {
            if spec.kind == ValueKind::SignedWord as u8 {
                ValueClass::Signed(size)
            } else {
                ValueClass::Unsigned(size)
            }
        }
        Shape::Bool => ValueClass::Bool,
        Shape::Text => ValueClass::Text,
        Shape::Pointer | Shape::Interface(_) => ValueClass::Pointer,
        Shape::Float(_) | Shape::Slice { .. } => return None,
    })
}

/// The names of Go's dynamic types in the process, as far as it can be read.
fn type_names(watched: &Watched) -> Box<dyn TypeNames + Send> {
    let names = || {
        let moduledata = watched.symbols.go_moduledata(0)?;
        let image = watched.symbols.image(0)?;
        let bias = watched.process.load_bias(image).ok().flatten()?;
        let memory = File::open(format!("/proc/{}/mem", watched.process.pid())).ok()?;
        GoTypeNames::new(moduledata.wrapping_add(bias), move |address, len| {
            let mut bytes = vec![0; len];
            memory.read_exact_at(&mut bytes, address).ok()?;
            Some(bytes)
        })
    };
    match names() {
        Some(names) => Box::new(names),
        None => Box::new(NoNames),
    }
}

struct NoNames;

impl TypeNames for NoNames {
    fn name(&self, _type_word: u64, _interface: Interface) -> Option<String> {
        None
    }
}

/// The function that a trace of an HTTP path begins at.
pub(super) fn is_root(trace: Option<&TraceRule>, function: FunctionId) -> bool {
    trace.is_some_and(|trace| trace.root == function)
}
