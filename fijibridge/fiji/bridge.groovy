// Scripts that version 0.1 installed load this file; the bridge lies in worker/ since.
def here = new File(getClass().protectionDomain.codeSource.location.toURI()).parentFile
evaluate(new File(here.parentFile, 'worker/bridge.groovy'))
