# Sidekiq, unchanged: sidekiq_jobs.rb PORT
#
# Jobs at once, in bulk, later and failing first are done once each by two processes. Another one is
# told to end while it holds jobs: it gives them back, and the others do them.
require 'sidekiq'
require 'sidekiq/api'

PORT = Integer(ENV['SIDEKIQ_PORT'] ||= ARGV.fetch(0))
JOBS, HELD = 200, 4
WITNESS = ->() { Redis.new(port: PORT, db: 15, timeout: 30) }
THERE = { url: "redis://127.0.0.1:#{PORT}/0", network_timeout: 30 }.freeze

def tell(what, number)
  witness = WITNESS.call
  count = witness.hincrby(what, number, 1)
  witness.rpush("told:#{what}", number)
  witness.close
  count
end

def until_told(what, size)
  witness = WITNESS.call
  while witness.hlen(what) < size
    told = witness.blpop("told:#{what}", timeout: 40)
    raise "#{witness.hlen(what)} of #{size} #{what}" unless told
  end
end

class Work
  include Sidekiq::Worker

  def perform(number)
    tell('done', number)
  end
end

class FailFirst
  include Sidekiq::Worker
  sidekiq_options retry: 3
  sidekiq_retry_in { 1 }

  def perform(number)
    raise 'on purpose' if tell('tried', number) == 1

    tell('done', number)
  end
end

class HangFirst
  include Sidekiq::Worker
  sidekiq_options queue: 'held'

  def perform(number)
    WITNESS.call.blpop('never') if tell('taken', number) == 1
    tell('done', number)
  end
end

Sidekiq.configure_server do |config|
  config.redis = THERE
  config.options[:poll_interval_average] = 1
end
Sidekiq.configure_client { |config| config.redis = THERE }
Redis.silence_deprecations = true
Sidekiq.logger.level = Logger::FATAL

STARTED = []

# A process that ends loses what an idle thread of it is given meanwhile, so the victim has none.
def start(threads, *queues)
  arguments = queues.flat_map { |queue| ['-q', queue] }
  STARTED << spawn('sidekiq', '-r', File.expand_path(__FILE__), '-c', threads.to_s, '-t', '1', *arguments,
        out: File::NULL, err: File::NULL)
  STARTED.last
end

def end_process(pid, signal)
  Process.kill(signal, pid)
  Process.wait(pid)
  STARTED.delete(pid)
end

def send_all
  (HELD...JOBS).each do |number|
    case number % 4
    when 1 then Work.perform_in(1, number)
    when 2 then FailFirst.perform_async(number)
    when 3 then Work.perform_async(number)
    end
  end
  Sidekiq::Client.push_bulk('class' => Work, 'args' => (HELD...JOBS).step(4).map { |number| [number] })
end

def main
  trap('TERM') { exit 1 }
  at_exit { STARTED.each { |pid| Process.kill('KILL', pid) } }
  victim = start(HELD, 'held')
  HELD.times { |number| HangFirst.perform_async(number) }
  until_told('taken', HELD)
  workers = [start(5, 'default', 'held'), start(5, 'default', 'held')]
  send_all
  until_told('done', JOBS - HELD)
  end_process(victim, 'TERM')
  until_told('done', JOBS)
  workers.each { |worker| end_process(worker, 'KILL') }
  counts = WITNESS.call.hgetall('done').values.map(&:to_i)
  raise "#{counts.count { |count| count != 1 }} were done twice" unless counts.all?(1)
  raise 'something is left' unless Sidekiq::Queue.all.sum(&:size).zero? && Sidekiq::RetrySet.new.size.zero?

  puts "Sidekiq: #{counts.size} jobs, #{HELD} of them given back by a process that ended"
end

main if $PROGRAM_NAME == __FILE__
