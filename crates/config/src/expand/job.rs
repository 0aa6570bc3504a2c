//! One use of a job.

use outrider_model::plan::{BuildPlan, JobKind, JobPlan, JobSpec, Requirement};

use super::Expander;
use super::bind::bind;
use super::substitute::{Scope, substitute};
use crate::diagnostic::{code, error};
use crate::syntax::{Definition, Invocation, KINDS};
use crate::yaml::{Mapping, Span};

impl Expander<'_> {
    /// The job that an invocation asks for. `None` if it is not clear in what it runs.
    pub(super) fn job(
        &self,
        name: &str,
        requires: Vec<Requirement>,
        invocation: &Invocation,
        definition: &Definition,
    ) -> Option<JobPlan> {
        let cx = self.reader.cx;
        let span = invocation.job_span;
        let what = format!("job `{}`", invocation.job);
        let values = bind(
            self.reader,
            &what,
            &definition.parameters,
            &invocation.arguments,
            span,
        );
        let mut steps = vec![];
        if let Some(pre) = &invocation.pre_steps {
            self.steps(pre, &mut steps);
        }
        let job = cx.used_at(span, || {
            let body = substitute(cx, &definition.body, Scope::Parameters(&values));
            let (body, inherited) = self.with_executor(body.as_mapping()?)?;
            let mut job = self.reader.job(&invocation.job, &body);
            if let Some(inherited) = inherited {
                let own = std::mem::take(&mut job.environment);
                job.environment = self.reader.environment(&inherited);
                job.environment.extend(own);
            }
            if let Some(list) = &job.steps {
                self.steps(list, &mut steps);
            }
            self.check_kind(&invocation.job, definition.name_span, &body);
            Some(job)
        })?;
        if let Some(post) = &invocation.post_steps {
            self.steps(post, &mut steps);
        }
        Some(JobPlan {
            name: name.to_owned(),
            requires,
            contexts: vec![],
            serial_group: None,
            kind: JobKind::Build(Box::new(BuildPlan {
                class: job.class,
                parallelism: job.parallelism,
                spec: JobSpec {
                    environment_kind: job.environment_kind?,
                    shell: job.shell,
                    working_directory: job.working_directory,
                    environment: job.environment,
                    steps,
                    resource_class: job.resource_class,
                    retry_when_lost: false,
                    cache_retention_days: job.cache_retention_days,
                },
            })),
        })
    }

    /// A job must say in what it runs.
    fn check_kind(&self, name: &str, span: Span, body: &Mapping) {
        if !KINDS.iter().any(|kind| body.present(kind).is_some()) {
            let message = format!("job `{name}` does not say in what it runs");
            self.reader.report(
                error(code::NO_EXECUTOR, span, message).help(
                    "add `machine: true`, `docker:` with an image, or `executor:` with a name",
                ),
            );
        }
    }
}
