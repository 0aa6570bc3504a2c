//! Matrices: one use of a job becomes as many as its parameters have combinations.

use std::collections::HashSet;
use std::rc::Rc;

use super::Expander;
use super::substitute::{Scope, Values, substitute};
use crate::diagnostic::{code, error, warning};
use crate::syntax::{Axis, GROUP_USE, Invocation, Matrix, Use, shown};
use crate::yaml::{Entry, Mapping, Node, Span};

impl Expander<'_> {
    /// The jobs that an entry of a workflow asks for.
    pub(super) fn invocations(&self, used: &Use) -> Vec<Invocation> {
        let nothing = Rc::<Mapping>::default();
        let body = match used.body.is_null() {
            true => Some(&nothing),
            false => self.reader.mapping(&used.body, &format!("`{}`", used.job)),
        };
        let Some(body) = body else { return vec![] };
        if self.groups.contains_key(&used.job) {
            self.reader.check_keys(body, &GROUP_USE);
        } else if let Some(matrix) = body.present("matrix") {
            return self.combinations(used, body, matrix);
        }
        if !self.has_room(1, used.span) {
            return vec![];
        }
        vec![self.invocation(used, body, None)]
    }

    fn invocation(&self, used: &Use, body: &Mapping, values: Option<&Values>) -> Invocation {
        let node = Node::mapping(used.span, body.clone());
        let resolved = substitute(self.reader.cx, &node, Scope::Workflow(values));
        let body = resolved.as_mapping().map_or(body, |resolved| resolved);
        self.reader.invocation(used, body)
    }

    /// A job for every combination that is not excluded. The first parameter by name changes slowest.
    fn combinations(&self, used: &Use, body: &Mapping, matrix: &Node) -> Vec<Invocation> {
        let matrix = substitute(self.reader.cx, matrix, Scope::Workflow(None));
        let Some(matrix) = self.reader.matrix(&matrix) else {
            return vec![];
        };
        let sizes = matrix.parameters.values().map(|axis| axis.values.len());
        let count = sizes.fold(1, usize::saturating_mul);
        if !self.has_room(count, used.span) {
            return vec![];
        }
        let mut body = body.clone();
        body.entries.shift_remove("matrix");
        self.check_given_once(&body, &matrix);
        let mut excluded = Excluded::new(&matrix);
        let chosen = (0..count).map(|index| combination(&matrix, index));
        let chosen: Vec<_> = chosen.filter(|values| !excluded.contains(values)).collect();
        self.report_exclusions(&matrix, &excluded);
        if chosen.is_empty() {
            let message = format!("the matrix of `{}` excludes all its combinations", used.job);
            self.reader.report(
                error(code::BAD_MATRIX, used.span, message)
                    .help("take something out of `exclude`, or remove the job"),
            );
        }
        let invocations = chosen.into_iter();
        invocations
            .map_while(|values| self.member(used, &body, &matrix, &values))
            .collect()
    }

    /// One job of a matrix; nothing once the limit is passed.
    fn member(
        &self,
        used: &Use,
        body: &Mapping,
        matrix: &Matrix,
        values: &[Node],
    ) -> Option<Invocation> {
        let name = member_name(&used.job, values);
        if !self.reader.cx.spend(name.len(), used.span) {
            return None;
        }
        let named = || matrix.parameters.iter().zip(values);
        let scope = named().map(|((name, _), value)| (name.clone(), Some(value.clone())));
        let mut invocation = self.invocation(used, body, Some(&scope.collect()));
        let arguments = named().map(|((name, axis), value)| {
            let value = value.clone();
            let key_span = axis.name_span;
            (name.clone(), Entry { key_span, value })
        });
        invocation.arguments.entries.extend(arguments);
        let alias = matrix.alias.as_deref();
        invocation.alias = Some(alias.map_or_else(|| used.job.clone(), Rc::from));
        invocation.name = invocation.name.or(Some(name));
        Some(invocation)
    }

    /// A parameter has its value from the matrix or from the job. From both, that of the matrix
    /// counts.
    fn check_given_once(&self, body: &Mapping, matrix: &Matrix) {
        for name in matrix.parameters.keys() {
            if let Some(span) = body.key_span(name) {
                let message = format!("`{name}` is given here and in the `matrix`");
                self.reader.report(
                    warning(code::CONFLICTING_KEYS, span, message)
                        .help("that of the matrix counts; remove the other one"),
                );
            }
        }
    }

    fn report_exclusions(&self, matrix: &Matrix, excluded: &Excluded) {
        for (exclusion, key) in matrix.exclude.iter().zip(&excluded.keys) {
            if !excluded.met.contains(key) {
                let message = "this excludes nothing: the matrix has no such combination";
                self.reader.report(
                    warning(code::BAD_MATRIX, exclusion.span, message)
                        .help("write the values as they stand under `parameters`, or remove it"),
                );
            }
        }
    }

    /// Whether so many more jobs may be made. That there are too many is said once.
    pub(super) fn has_room(&self, jobs: usize, span: Span) -> bool {
        let cx = self.reader.cx;
        let limit = cx.options.limits.jobs;
        self.jobs.set(self.jobs.get().saturating_add(jobs));
        if self.jobs.get() > limit {
            let message = format!("with this the config has more than {limit} jobs");
            cx.stop(
                error(code::TOO_MANY_JOBS, span, message)
                    .help("split the config, or raise the limit"),
            );
        }
        !cx.is_stopped()
    }
}

/// The values of a combination by its number, in the order of the parameters.
fn combination(matrix: &Matrix, mut index: usize) -> Vec<Node> {
    let mut values = vec![];
    for Axis { values: all, .. } in matrix.parameters.values().rev() {
        values.push(all[index % all.len()].clone());
        index /= all.len();
    }
    values.reverse();
    values
}

/// The name of a job of a matrix that is given none: its values, by the names of the parameters.
fn member_name(job: &str, values: &[Node]) -> String {
    let values = values.iter().map(shown);
    std::iter::once(job.to_owned())
        .chain(values)
        .collect::<Vec<_>>()
        .join("-")
}

/// Combinations that are left out, and which of them there were.
struct Excluded {
    keys: Vec<Vec<String>>,
    all: HashSet<Vec<String>>,
    met: HashSet<Vec<String>>,
}

impl Excluded {
    fn new(matrix: &Matrix) -> Self {
        let exclusions = matrix.exclude.iter();
        let keys: Vec<_> = exclusions.map(|one| key(&one.values)).collect();
        Self {
            all: keys.iter().cloned().collect(),
            keys,
            met: HashSet::new(),
        }
    }

    fn contains(&mut self, values: &[Node]) -> bool {
        if self.all.is_empty() {
            return false;
        }
        let key = key(values);
        let contains = self.all.contains(&key);
        if contains {
            self.met.insert(key);
        }
        contains
    }
}

/// What tells combinations apart: 1 is not "1".
fn key(values: &[Node]) -> Vec<String> {
    let key = |value: &Node| match value.as_scalar() {
        Some(scalar) => format!("{:?}", scalar.plain()),
        None => shown(value),
    };
    values.iter().map(key).collect()
}
