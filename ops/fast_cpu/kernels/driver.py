"""The function in which threads share the jobs of kernels. See `ops.fast_cpu.threads` for the fields of the board.

The leader runs a program, kernels one after the other; all jobs of one are done before the next one begins. A thread takes a job by
lowering the number of jobs left, which shares a word with the number of the call: so a thread that was held up can never take a
job of a call that is over, and nobody has to wait for a thread that has no job. Between two kernels helpers only look at that word.
The number of steps on the board is 0 when no program runs; else no helper goes to sleep, however long another's job takes.

`group` is a kernel that runs the jobs of several: its arguments are how many, then for each its number of jobs, its address and
where its arguments are (bytes from here).
"""

NAME = 'drive'

TEXT = """
define void @group(ptr %arguments, i64 %job, ptr %scratch) {
entry:
  %first = getelementptr i64, ptr %arguments, i64 1
  br label %look

look:
  %left = phi i64 [ %job, %entry ], [ %less, %skip ]
  %member = phi ptr [ %first, %entry ], [ %next, %skip ]
  %jobs = load i64, ptr %member
  %is_own = icmp slt i64 %left, %jobs
  br i1 %is_own, label %run, label %skip

skip:
  %less = sub i64 %left, %jobs
  %next = getelementptr i64, ptr %member, i64 3
  br label %look

run:
  %kernel_at = getelementptr i64, ptr %member, i64 1
  %start_at = getelementptr i64, ptr %member, i64 2
  %kernel = load ptr, ptr %kernel_at
  %start = load i64, ptr %start_at
  %own = getelementptr i8, ptr %arguments, i64 %start
  call void %kernel(ptr %own, i64 %left, ptr %scratch)
  ret void
}

define void @drive(ptr %board, i64 %worker) {
entry:
  %asks = icmp slt i64 %worker, 0
  br i1 %asks, label %answer, label %start

answer:                                 ; where the other function is
  store ptr @group, ptr %board
  ret void

start:
  %done_at = getelementptr i64, ptr %board, i64 1
  %jobs_at = getelementptr i64, ptr %board, i64 2
  %call_at = getelementptr i64, ptr %board, i64 3
  %kernel_at = getelementptr i64, ptr %board, i64 4
  %arguments_at = getelementptr i64, ptr %board, i64 5
  %scratch_at = getelementptr i64, ptr %board, i64 6
  %bytes_at = getelementptr i64, ptr %board, i64 7
  %patience_at = getelementptr i64, ptr %board, i64 8
  %yield_at = getelementptr i64, ptr %board, i64 9
  %program_at = getelementptr i64, ptr %board, i64 10
  %steps_at = getelementptr i64, ptr %board, i64 11
  %step_at = getelementptr i64, ptr %board, i64 12
  %awake_number = add i64 %worker, 12
  %awake_at = getelementptr i64, ptr %board, i64 %awake_number
  %patience = load i64, ptr %patience_at
  %yield = load ptr, ptr %yield_at
  %leads = icmp eq i64 %worker, 0
  br i1 %leads, label %open, label %help

open:
  store i64 0, ptr %step_at
  br label %post

post:                                   ; the leader puts the jobs of a kernel on the board
  %step = load i64, ptr %step_at
  %program = load ptr, ptr %program_at
  %record_number = mul i64 %step, 3
  %record = getelementptr i64, ptr %program, i64 %record_number
  %record_jobs = getelementptr i64, ptr %record, i64 1
  %record_start = getelementptr i64, ptr %record, i64 2
  %new_kernel = load i64, ptr %record
  %jobs = load i64, ptr %record_jobs
  %program_start = load i64, ptr %record_start
  %new_arguments = getelementptr i8, ptr %program, i64 %program_start
  %last_call = load i64, ptr %call_at
  %next_call = add i64 %last_call, 1
  %call = and i64 %next_call, 2147483647
  store i64 %call, ptr %call_at
  store i64 %new_kernel, ptr %kernel_at
  store ptr %new_arguments, ptr %arguments_at
  store i64 %jobs, ptr %jobs_at
  store i64 0, ptr %done_at
  %high = shl i64 %call, 32
  %first = or i64 %high, %jobs
  store atomic i64 %first, ptr %board release, align 8
  br label %look

help:
  store atomic i64 1, ptr %awake_at release, align 8
  br label %look

look:
  %left_patience = phi i64 [ %patience, %post ], [ %patience, %help ], [ %patience, %work ],
                           [ %left_patience, %take ], [ %less, %wait ], [ %patience, %stay ]
  %word = load atomic i64, ptr %board acquire, align 8
  %left = and i64 %word, 4294967295
  %none = icmp eq i64 %left, 0
  br i1 %none, label %idle, label %take

take:
  %lower = sub i64 %word, 1
  %exchange = cmpxchg ptr %board, i64 %word, i64 %lower acq_rel acquire, align 8
  %taken = extractvalue { i64, i1 } %exchange, 1
  br i1 %taken, label %work, label %look

work:                                   ; from here to the end of the job, the call cannot end
  %job = sub i64 %left, 1
  %kernel = load ptr, ptr %kernel_at
  %arguments = load ptr, ptr %arguments_at
  %scratch = load ptr, ptr %scratch_at
  %bytes = load i64, ptr %bytes_at
  %offset = mul i64 %bytes, %worker
  %own = getelementptr i8, ptr %scratch, i64 %offset
  call void %kernel(ptr %arguments, i64 %job, ptr %own)
  %before = atomicrmw add ptr %done_at, i64 1 release, align 8
  br label %look

idle:
  br i1 %leads, label %finished, label %bored

finished:                               ; the leader waits for jobs that others have begun
  %wanted = load i64, ptr %jobs_at
  %done = load atomic i64, ptr %done_at acquire, align 8
  %complete = icmp eq i64 %done, %wanted
  br i1 %complete, label %advance, label %rest

rest:
  %rested = call i32 %yield()
  br label %finished

advance:
  %this_step = load i64, ptr %step_at
  %next_step = add i64 %this_step, 1
  store i64 %next_step, ptr %step_at
  %steps = load i64, ptr %steps_at
  %over = icmp eq i64 %next_step, %steps
  br i1 %over, label %close, label %post

close:                                  ; from here on helpers may sleep
  store atomic i64 0, ptr %steps_at release, align 8
  br label %leave

bored:                                  ; a helper stays awake for a while, since the next kernel is near
  %less = sub i64 %left_patience, 1
  %gone = icmp eq i64 %less, 0
  br i1 %gone, label %sleep, label %wait

wait:
  %waited = call i32 %yield()
  br label %look

sleep:                                  ; unless a program runs: nobody would wake it before the next one
  store atomic i64 0, ptr %awake_at seq_cst, align 8
  %running = load atomic i64, ptr %steps_at seq_cst, align 8
  %is_over = icmp eq i64 %running, 0
  br i1 %is_over, label %leave, label %stay

stay:
  store atomic i64 1, ptr %awake_at release, align 8
  br label %look

leave:
  ret void
}
"""
